// Clients that go away: what they asked for is not computed to its end, and nobody else waits for it.
import { connect } from "node:net";
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
import { serveNode, type ServedNode, until } from "../support/served-node.ts";

let node: ServedNode;
let client: NodeClient;
beforeAll(async () => {
  node = await serveNode({ models: [await nanoArtifact()] });
  client = await nodeClient(node.url);
});
afterAll(() => node?.stop());

const longJob: InferOptions = {
  texts: Array.from({ length: 16 }, () => null),
  generation: { max_new_tokens: 100, min_new_tokens: 100, num_beams: 2 },
};
const engineWorks = () =>
  until(async () => (await client.metric("jobs_running")) > 0, "the engine works");
const engineIsFree = () => until(async () => (await client.jobs()) === 0, "the engine is free");
const outcomes = () => node.logged("request").map(({ outcome }) => outcome);

/** Writes a whole signed request and goes: with a goodbye, or without. */
async function sendAndLeave(partition: string, how: "end" | "reset"): Promise<void> {
  const { body, contentType } = client.framed({ ...longJob, partition });
  const headers = await client.sign("POST", "/v1/infer", body, contentType);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const start = ["POST /v1/infer HTTP/1.1", "host: x", `content-length: ${body.length}`, ...lines];
  const { hostname, port } = new URL(node.url);
  await new Promise<void>((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on("error", () => {});
    socket.on("close", () => resolve());
    socket.write(`${start.join("\r\n")}\r\n\r\n`);
    socket.write(body, () => {
      if (how === "reset") socket.resetAndDestroy();
      else socket.destroySoon();
    });
  });
}

describe("a client goes away", () => {
  test("while its job runs: the place is free long before the job would have ended, and the log says why", async () => {
    const startedAt = performance.now();
    expect((await client.infer(longJob)).status).toBe(200);
    const wholeMs = performance.now() - startedAt;

    const leaving = new AbortController();
    const run = client.infer({ ...longJob, signal: leaving.signal });
    await engineWorks();
    const leftAt = performance.now();
    leaving.abort();
    await expect(run).rejects.toThrow();
    await engineIsFree();
    expect(performance.now() - leftAt).toBeLessThan(wholeMs / 2);
    await until(() => outcomes().includes("canceled"), "the log says canceled");
    expect((await client.infer()).status).toBe(200);
  });

  test("while its job waits: it is gone long before the one that it waited for has ended", async () => {
    let ended = false;
    const run = client.infer({ ...longJob, partition: "a1" }).finally(() => (ended = true));
    await engineWorks();
    const leaving = new AbortController();
    const waiting = Array.from({ length: 5 }, (_, index) =>
      client.infer({ ...longJob, partition: `b${index}`, signal: leaving.signal }).catch(() => {}),
    );
    await until(async () => (await client.jobs()) === 6, "all are there");
    leaving.abort();
    await Promise.all(waiting);
    await until(async () => (await client.jobs()) <= 1, "they are gone");
    expect(ended).toBe(false);
    expect((await run).status).toBe(200);
    await engineIsFree();
  });

  test("200 that send and leave at once: the next good request is answered", async () => {
    const before = await answerOf(await client.infer());
    const logged = outcomes().length;
    await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        sendAndLeave(`c${index}`, index % 2 === 0 ? "end" : "reset"),
      ),
    );
    // Those that left may fill the node for as long as it takes to see that they are gone.
    let good = await client.infer({ deadlineMs: 20_000 });
    for (const end = performance.now() + 10_000; good.status !== 200;) {
      expect(await problemOf(good)).toMatchObject({ code: "overloaded", retryable: true });
      expect(performance.now()).toBeLessThan(end);
      await sleep(Number(good.headers.get("retry-after")) * 1000);
      good = await client.infer({ deadlineMs: 20_000 });
    }
    expect((await answerOf(good)).results).toEqual(before.results);
    await engineIsFree();
    const since = outcomes().slice(logged);
    expect(since.filter((outcome) => outcome === "canceled").length).toBeGreaterThan(0);
    expect(
      since.filter((outcome) => !["canceled", "overloaded", "ok"].includes(String(outcome))),
    ).toEqual([]);
    expect(node.logged("engine_ended")).toEqual([]);
  });
});
