// kill -9 of the engine: whoever waited is told to come again and when, the node comes back by itself, and
// nothing of the dead stays.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nanoArtifact } from "../support/nano-artifact.ts";
import {
  answerOf,
  type InferOptions,
  type NodeClient,
  nodeClient,
  problemOf,
} from "../support/node-client.ts";
import { childrenOf, isAlive, serveNode, type ServedNode, until } from "../support/served-node.ts";

let artifact: string;
let node: ServedNode;
let client: NodeClient;
beforeAll(async () => {
  artifact = await nanoArtifact();
  node = await serveNode({ models: [artifact] });
  client = await nodeClient(node.url);
});
afterAll(() => node?.stop());

/** Sixteen texts of a hundred tokens: long enough to be interrupted. */
const longJob: InferOptions = {
  texts: Array.from({ length: 16 }, () => null),
  generation: { max_new_tokens: 100, min_new_tokens: 100 },
};
const resultOf = async (response: Response) => {
  const [result] = (await answerOf(response)).results;
  return { ids: result?.token_ids, text: result?.text, logProb: result?.log_prob };
};

/** Kills the engine while jobs are in it and before it; gives what became of them. */
async function killDuringRequests(round: number): Promise<Response[]> {
  const calls = Array.from({ length: 6 }, (_, index) =>
    client.infer({ ...longJob, partition: `${round}${index}` }),
  );
  await until(async () => (await client.metric("jobs_running")) > 0, "the engine works");
  await sleep(50);
  process.kill(await node.enginePid(), "SIGKILL");
  return Promise.all(calls);
}

describe("the engine is killed", () => {
  test("during requests, again and again: all are told to try again, the next gets the same answer", async () => {
    const door = node.pid;
    const before = await resultOf(await client.infer());
    const engines = new Set([await node.enginePid()]);
    for (let round = 1; round <= 3; round++) {
      const responses = await killDuringRequests(round);
      for (const response of responses) {
        expect(response.status).toBe(503);
        expect(response.headers.get("content-type")).toBe("application/problem+json");
        const problem = await problemOf(response);
        expect(problem).toMatchObject({ code: "engine_restarted", retryable: true });
        expect(Number(response.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
        expect(problem.retry_after_s).toBe(Number(response.headers.get("retry-after")));
      }
      await node.untilReady();
      expect(await resultOf(await client.infer())).toEqual(before);
      engines.add(await node.enginePid());
    }
    expect(engines.size).toBe(4);
    expect(node.pid).toBe(door);
    expect(isAlive(door)).toBe(true);
    expect(node.logged("engine_ended").map(({ reason }) => reason)).toEqual([
      "SIGKILL",
      "SIGKILL",
      "SIGKILL",
    ]);
  });

  test("while it starts: the start is made again, and the door answers meanwhile", async () => {
    const before = node.logged("engine_ready").length;
    const killed = [await node.enginePid()];
    process.kill(killed[0] ?? 0, "SIGKILL");
    while (killed.length < 3) {
      let starting: number | undefined;
      await until(async () => {
        starting = (await node.children()).find(({ pid }) => !killed.includes(pid))?.pid;
        return starting !== undefined;
      }, "an engine starts");
      expect((await fetch(`${node.url}/healthz`)).status).toBe(200);
      expect(await node.isReady()).toBe(false);
      const refused = await client.infer();
      expect(refused.status).toBe(503);
      expect((await problemOf(refused)).code).toBe("not_ready");
      killed.push(starting ?? 0);
      process.kill(starting ?? 0, "SIGKILL");
    }
    await until(() => killed.every((pid) => !isAlive(pid)), "they are gone and reaped");
    await node.untilReady(30_000);
    expect(node.logged("engine_ready")).toHaveLength(before + 1);
    expect((await client.infer()).status).toBe(200);
  });

  test("nothing of the dead stays: one child, no zombie", async () => {
    expect(await node.children()).toEqual([
      { pid: await node.enginePid(), state: expect.stringMatching(/^[RSD]$/) as string },
    ]);
  });

  test("during the very first start: the command ends with the reason and no engine stays", async () => {
    let door = 0;
    const starting = serveNode({ models: [artifact], onSpawn: (pid) => (door = pid) });
    await until(async () => (await childrenOf(door)).length === 1, "its engine is there");
    const engine = (await childrenOf(door))[0]?.pid ?? 0;
    process.kill(engine, "SIGKILL");
    const other = await starting;
    expect(other.started).toBe(false);
    expect(await other.ended).toEqual({ code: 1, signal: null });
    expect(JSON.stringify(other.lines)).toContain("the engine ended: SIGKILL");
    expect(isAlive(engine)).toBe(false);
  });
});
