// The ends of a node that are asked for, and the one that is not: SIGTERM, SIGTERM again, kill -9 of the door.
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { nanoArtifact } from "../support/nano-artifact.ts";
import {
  type InferOptions,
  type NodeClient,
  nodeClient,
  problemOf,
} from "../support/node-client.ts";
import { isAlive, serveNode, type ServedNode, until } from "../support/served-node.ts";

let artifact: string;
let node: ServedNode | undefined;
beforeAll(async () => {
  artifact = await nanoArtifact();
});
afterEach(() => node?.stop());

const longJob = (maxNewTokens: number, beams = 1): InferOptions => ({
  texts: Array.from({ length: 16 }, () => null),
  generation: { max_new_tokens: maxNewTokens, min_new_tokens: maxNewTokens, num_beams: beams },
});
async function serve(...args: string[]): Promise<{ node: ServedNode; client: NodeClient }> {
  const served = await serveNode({ models: [artifact], args });
  node = served;
  return { node: served, client: await nodeClient(served.url) };
}
const engineWorks = (client: NodeClient) =>
  until(async () => (await client.metric("jobs_running")) > 0, "the engine works");
const timed = async <T>(wait: Promise<T>): Promise<{ value: T; tookMs: number }> => {
  const startedAt = performance.now();
  const value = await wait;
  return { value, tookMs: performance.now() - startedAt };
};

describe("SIGTERM", () => {
  test("what runs and what waits is answered, what comes is told to go elsewhere, the end is in order", async () => {
    const { node, client } = await serve("--drain-seconds", "30");
    const engine = await node.enginePid();
    const inside = [1, 2, 3].map((each) =>
      client.infer({ ...longJob(100), partition: String(each) }),
    );
    await engineWorks(client);
    await until(async () => (await client.jobs()) === 3, "all are there");
    node.signal("SIGTERM");
    await until(async () => !(await node.isReady()), "it is no longer ready");
    expect((await fetch(`${node.url}/healthz`)).status).toBe(200);
    const refused = await client.infer();
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(await problemOf(refused)).toMatchObject({ code: "not_ready", retryable: true });
    for (const response of await Promise.all(inside)) expect(response.status).toBe(200);
    expect(await node.ended).toEqual({ code: 0, signal: null });
    expect(isAlive(engine)).toBe(false);
    expect(node.logged("stopped")).toHaveLength(1);
  });

  test("what the bound leaves over gets a retryable problem, and the end comes within it", async () => {
    const { node, client } = await serve("--drain-seconds", "1");
    const engine = await node.enginePid();
    const inside = [1, 2].map((each) =>
      client.infer({ ...longJob(100, 4), partition: String(each) }),
    );
    await engineWorks(client);
    node.signal("SIGTERM");
    const { value, tookMs } = await timed(node.ended);
    expect(value).toEqual({ code: 0, signal: null });
    // The bound, a second for the engine and the answers, and what a busy machine adds.
    expect(tookMs).toBeLessThan(6000);
    for (const response of await Promise.all(inside)) {
      expect(response.status).toBe(503);
      expect(await problemOf(response)).toMatchObject({ code: "not_ready", retryable: true });
    }
    expect(isAlive(engine)).toBe(false);
  });

  test("twice: it ends at once and takes the engine along", async () => {
    const { node, client } = await serve("--drain-seconds", "60");
    const engine = await node.enginePid();
    const run = client.infer(longJob(100, 4)).then(
      ({ status }) => status,
      () => "broken off",
    );
    await engineWorks(client);
    node.signal("SIGTERM");
    await until(() => node.logged("stopping").length === 1, "it drains");
    node.signal("SIGTERM");
    const { value, tookMs } = await timed(node.ended);
    expect(value).toEqual({ code: 143, signal: null });
    expect(tookMs).toBeLessThan(2000);
    expect(await run).toBe("broken off");
    await until(() => !isAlive(engine), "the engine is gone", 2000);
  });

  test("connections on which nobody asks anything hold nothing up", async () => {
    const { node } = await serve("--drain-seconds", "60");
    const { hostname, port } = new URL(node.url);
    const silent = connect({ host: hostname, port: Number(port) });
    const halfway = connect({ host: hostname, port: Number(port) });
    const closed = [silent, halfway].map(
      (socket) => new Promise((resolve) => socket.on("error", () => {}).once("close", resolve)),
    );
    halfway.write("POST /v1/infer HTTP/1.1\r\nhost: ");
    await Promise.all([once(silent, "connect"), once(halfway, "connect")]);
    node.signal("SIGTERM");
    const { value, tookMs } = await timed(node.ended);
    expect(value).toEqual({ code: 0, signal: null });
    expect(tookMs).toBeLessThan(5000);
    await Promise.all(closed);
  });

  test("while no engine runs: it does not wait for one", async () => {
    const { node } = await serve();
    process.kill(await node.enginePid(), "SIGKILL");
    await until(() => node.logged("engine_ended").length === 1, "the engine is gone");
    node.signal("SIGTERM");
    expect(await node.ended).toEqual({ code: 0, signal: null });
  });
});

describe("kill -9 of the door", () => {
  test("the engine follows by itself, busy or not", async () => {
    const { node, client } = await serve();
    const engine = await node.enginePid();
    const run = client.infer(longJob(100)).catch(() => {});
    await engineWorks(client);
    node.signal("SIGKILL");
    await run;
    await until(() => !isAlive(engine), "the engine is gone", 10_000);
  });
});
