// Two real nodes that announce themselves to the Worker, under load: one is killed and comes back, one is told
// to end. No request fails for it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { startNode, type NodeProcess } from "../../infra/start/node-process.ts";
import { startWorker, type RunningWorker } from "../../infra/start/worker.ts";
import { nanoArtifact } from "../support/nano-artifact.ts";
import { jpeg } from "../support/pictures.ts";

const ids = ["one", "two"] as const;
const keys = ids.map((id) => ({ id, secret: `a-secret-that-is-long-enough-for-${id}` }));

let worker: RunningWorker;
let nodes: NodeProcess[] = [];
let apiKey: string;
const events: Record<string, unknown>[] = [];
const lines: string[] = [];
let onBack: (() => void) | undefined;

beforeAll(async () => {
  const artifact = await nanoArtifact();
  worker = await startWorker({
    port: 0,
    nodeUrl: "",
    nodeKeys: keys,
    vars: {
      ANNOUNCE_ORIGINS: ids.map((id) => `${id}=http://127.0.0.1:*`).join(","),
      HEARTBEAT_MS: "1000",
      NODE_LIST_TTL_MS: "1000",
    },
    log: (line) => {
      if (line.startsWith("{")) events.push(JSON.parse(line) as Record<string, unknown>);
    },
  });
  nodes = await Promise.all(
    keys.map((key) =>
      startNode({
        modelDirs: [artifact],
        keys: [key],
        args: ["--announce", worker.url, "--threads", "1"],
        log: (line) => lines.push(line),
        onRestart: () => onBack?.(),
      }),
    ),
  );
  ({ key: apiKey } = await createApiKey());
  await worker.putKey({ key: apiKey, tenant: "ada", name: "test" });
});
afterAll(async () => {
  await worker?.stop();
  for (const node of nodes) await node.stop();
});

const [first, second] = [() => nodes[0] as NodeProcess, () => nodes[1] as NodeProcess];
let seed = 0;
interface Call {
  readonly startedAt: number;
  readonly status: number;
  readonly problem: string | undefined;
  readonly id: string | null;
}
/** About a picture that nobody has asked about before. */
async function caption(): Promise<Call> {
  const data = new FormData();
  data.set("image", new Blob([new Uint8Array(await jpeg(++seed, 32))]), "p.jpg");
  const startedAt = Date.now();
  const response = await fetch(`${worker.url}/v1/caption`, {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}` },
    body: data,
  });
  const text = await response.text();
  return {
    startedAt,
    status: response.status,
    problem: response.ok ? undefined : text,
    id: response.headers.get("x-request-id"),
  };
}
/** Six callers, each with its next call as soon as it has its answer, until `enough`. */
async function load(enough: () => boolean): Promise<Call[]> {
  const calls: Call[] = [];
  const caller = async (): Promise<void> => {
    while (!enough()) calls.push(await caption());
  };
  await Promise.all(Array.from({ length: 6 }, caller));
  return calls;
}
const eventOf = ({ id }: Call) => events.find((event) => event["request_id"] === id);
const failed = (calls: readonly Call[]): Call[] => calls.filter(({ status }) => status !== 200);
const nodeOf = (call: Call): unknown => eventOf(call)?.["node"];

test("a node is killed under load: every call is answered after at most one retry, and it is back within 30 s", async () => {
  let calls: Call[] = [];
  const everyone = (): boolean => new Set(calls.map(nodeOf)).size === 2;
  await expect
    .poll(
      async () => {
        calls = await load(countTo(12));
        return everyone();
      },
      { timeout: 30_000 },
    )
    .toBe(true);

  const target = first();
  let killedAt = 0;
  let backAt = 0;
  let served = 0;
  onBack = () => {
    backAt = Date.now();
  };
  const begunAt = Date.now();
  calls = await load(() => {
    served += 1;
    if (killedAt === 0 && served > 60) {
      killedAt = Date.now();
      for (const { pid } of target.pids()) process.kill(pid, "SIGKILL");
    }
    const again = events.some(
      (event) =>
        event["route"] === "caption" &&
        event["node"] === target.url &&
        backAt > 0 &&
        Date.parse(String(event["at"])) > backAt,
    );
    return again || Date.now() > begunAt + 60_000;
  });
  const returned = calls.filter(
    (call) => call.startedAt > backAt && backAt > 0 && nodeOf(call) === target.url,
  );
  const attempts = calls.map((call) => Number(eventOf(call)?.["node_attempts"]));
  console.log("a node is killed:", {
    calls: calls.length,
    failed: failed(calls).length,
    retried: calls.filter((call) => eventOf(call)?.["node_retries"] === 1).length,
    hedged: calls.filter((call) => eventOf(call)?.["node_hedges"] === 1).length,
    down_for_ms: backAt - killedAt,
    back_after_ms: (returned[0]?.startedAt ?? Number.NaN) - backAt,
  });
  expect(failed(calls)).toEqual([]);
  expect(Math.max(...attempts)).toBeLessThanOrEqual(2);
  expect((returned[0]?.startedAt ?? Number.NaN) - backAt).toBeLessThan(30_000);
});

/** True from its n-th call on. */
function countTo(count: number): () => boolean {
  let at = 0;
  return () => ++at > count;
}

test("a node is told to end under load: no call fails, and none goes there once it has left", async () => {
  const target = second();
  let served = 0;
  let stopped: Promise<void> | undefined;
  let goneAt = Number.POSITIVE_INFINITY;
  const end = async (): Promise<void> => {
    await target.stop();
    goneAt = Date.now();
  };
  const calls = await load(() => {
    served += 1;
    if (served === 40) {
      stopped = end();
    }
    return Date.now() > goneAt + 2000;
  });
  await stopped;
  console.log("a node is told to end:", {
    calls: calls.length,
    failed: failed(calls).length,
    retried: calls.filter((call) => eventOf(call)?.["node_retries"] === 1).length,
  });
  expect(failed(calls)).toEqual([]);
  expect(calls.some((call) => nodeOf(call) === target.url)).toBe(true);
  const after = calls.filter(({ startedAt }) => startedAt > goneAt);
  expect(after.length).toBeGreaterThan(0);
  expect(after.filter((call) => nodeOf(call) === target.url)).toEqual([]);
});
