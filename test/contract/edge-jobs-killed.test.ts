// A Worker that is killed in the middle of a job, again and again, on the state that it left behind: every item
// is recorded, and recorded once, though the messages of the queue are lost with it.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { createClient, type Client } from "@blip2-edge/shared/client";
import type { JobResult } from "@blip2-edge/shared/contracts/jobs";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { startEdge, type Edge } from "../support/edge.ts";
import { jpeg } from "../support/pictures.ts";

const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-jobs-"));
afterAll(() => rm(stateDir, { recursive: true, force: true }));

const count = 40;
const vars = {
  REQUEST_TIMEOUT_MS: "2000",
  JOB_LEASE_GRACE_MS: "100",
  JOB_CONCURRENCY: "6",
  JOB_ITEM_ATTEMPTS: "20",
};

/** Starts a Worker on the state. After a few answers the node takes its time, so that something is under way. */
async function start(hangs: boolean): Promise<Edge> {
  const edge = await startEdge({ stateDir, vars });
  if (hangs) {
    const wait = (ms: number) => ({ kind: "wait" as const, ms });
    const quick = Array.from({ length: 8 }, () => wait(10));
    edge.node.failNext(...quick, ...Array.from({ length: 18 }, () => wait(1600)));
  }
  return edge;
}

async function kill(edge: Edge): Promise<void> {
  const pids = edge.worker.pids();
  expect(pids.map(({ name }) => name)).toEqual(["workerd"]);
  for (const { pid } of pids) process.kill(pid, "SIGKILL");
  await edge.stop();
}

async function everyResult(client: Client, id: string): Promise<JobResult[]> {
  const results: JobResult[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.jobResults({ id, cursor });
    results.push(...page.results);
    cursor = page.results.length === 0 ? undefined : page.cursor;
  } while (cursor !== undefined);
  return results;
}

test(
  "killed three times in the middle: all items are finished, each recorded exactly once, none lost",
  { timeout: 240_000 },
  async () => {
    const { key } = await createApiKey();
    const items = await Promise.all(
      Array.from({ length: count }, async (_, seed) => ({
        image: { base64: (await jpeg(seed)).toString("base64") },
      })),
    );
    let edge = await start(true);
    await edge.worker.putKey({ key, tenant: "ada", name: "test", scopes: ["jobs"] });
    const { id } = await createClient({ url: edge.url, key }).jobCreate({ task: "caption", items });

    let recorded: readonly JobResult[] = [];
    let inferences = 0;
    for (let round = 1; round <= 3; round++) {
      const client = createClient({ url: edge.url, key });
      const wanted = recorded.length + 6;
      await expect
        .poll(
          async () => {
            // Lost messages are the sweep's to find, and messages that come twice change nothing.
            await edge.worker.tick();
            await edge.worker.enqueue("JOB_QUEUE", { kind: "run", job: id });
            const { counts } = await client.jobRead({ id });
            return counts.succeeded >= wanted && counts.running > 0;
          },
          { timeout: 60_000, interval: 50 },
        )
        .toBe(true);
      const before = await everyResult(client, id);
      // What a Worker recorded before it died stands as it was.
      expect(before.slice(0, recorded.length)).toEqual(recorded);
      recorded = before;
      inferences += edge.node.inferences();
      await kill(edge);
      edge = await start(round < 3);
    }

    const client = createClient({ url: edge.url, key });
    await expect
      .poll(
        async () => {
          await edge.worker.tick();
          return (await client.jobRead({ id })).state;
        },
        { timeout: 60_000, interval: 100 },
      )
      .toBe("completed");
    const results = await everyResult(client, id);
    expect(results.slice(0, recorded.length)).toEqual(recorded);
    expect(results.every(({ status }) => status === "succeeded")).toBe(true);
    expect(results.map(({ index }) => index).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: count }, (_, index) => index),
    );
    const { results: rows } = await edge.worker.db
      .prepare("SELECT seq FROM job_items WHERE job_id = ? ORDER BY seq")
      .bind(id)
      .all<{ seq: number }>();
    expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: count }, (_, at) => at + 1));
    expect((await client.jobRead({ id })).counts).toMatchObject({ total: count, succeeded: count });
    // It was cut off in the middle each time, and did not do all of it again.
    inferences += edge.node.inferences();
    expect(results.some(({ attempts }) => attempts > 1)).toBe(true);
    expect(inferences).toBeLessThanOrEqual(count + 3 * Number(vars.JOB_CONCURRENCY));
    await edge.stop();
  },
);
