// A lane over SQLite and maps: how much it takes, what it passes on, and what becomes of an item when the things
// around it fail. What an item itself does is in test/contract/edge-jobs.test.ts.
import { beforeEach, expect, test } from "vitest";
import { AppError } from "@blip2-edge/shared/problem";
import { memoryTables } from "../../../test/support/sqlite.ts";
import { noLimits, type Caller } from "../auth/caller.ts";
import { pictureMemory } from "../images/picture-memory.ts";
import type { LogEvent } from "../log.ts";
import { jobFiles, type FileStore } from "./job-files.ts";
import { jobStore, type JobStore } from "./job-store.ts";
import { jobLane, type Invocation, type LaneOptions } from "./lane.ts";
import type { JobMessage } from "./messages.ts";
import { workStore, type WorkStore } from "./work-store.ts";

const hex = (number: number) => `job_${number.toString(16).padStart(32, "0")}`;
const caller: Caller = {
  ...{ keyId: "k1", tenant: "ada", scopes: ["jobs"], limits: noLimits },
  ...{ fetchAllow: [], noStore: false, isOperator: false },
};
let jobs: JobStore;
let work: WorkStore;
let objects: Map<string, string>;
let sent: (JobMessage & { readonly delaySeconds: number | undefined })[];
let events: LogEvent[];
let later: Promise<unknown>[];
let on: Invocation;

beforeEach(() => {
  const table = memoryTables();
  [objects, sent, events, later] = [new Map(), [], [], []];
  jobs = jobStore({ table, keepMs: 60_000, maxOpen: 10 });
  work = workStore({ table, keepMs: 60_000, pauseMs: 20_000, maxPauseMs: 300_000 });
  on = {
    write: (line) => void events.push(JSON.parse(line) as LogEvent),
    later: (promise) => void later.push(promise),
  };
});

const store: FileStore = {
  put: (key, value) => {
    objects.set(key, typeof value === "string" ? value : new TextDecoder().decode(value));
    return Promise.resolve();
  },
  get: (key, options) => {
    const text = objects.get(key);
    if (text === undefined) return Promise.resolve(null);
    const { offset, length } = options?.range ?? { offset: 0, length: text.length };
    return Promise.resolve({ text: () => Promise.resolve(text.slice(offset, offset + length)) });
  },
  list: () => Promise.resolve({ objects: [], truncated: false }),
  delete: (keys) => {
    for (const key of [keys].flat()) objects.delete(key);
    return Promise.resolve();
  },
};

function lane(more: Partial<LaneOptions> = {}) {
  const files = jobFiles(store);
  return jobLane({
    ...{ jobs, work, files },
    dropFile: (tenant, id) => files.dropItems(tenant, id),
    queue: {
      send: (message, options) => {
        sent.push({ ...message, delaySeconds: options?.delaySeconds });
        return Promise.resolve();
      },
    },
    callerOfKey: () => Promise.resolve(caller),
    roomsFor: () => {
      throw new Error("no rooms in this test");
    },
    memory: pictureMemory({ maxBytes: 1e9, waitMs: 1000 }),
    rules: { maxAttempts: 3, firstWaitMs: 5000, maxWaitMs: 60_000, maxPauseMs: 60_000 },
    ...{ perJob: 4, overall: 100, itemTimeoutMs: 5000, leaseGraceMs: 1000, sliceMs: 60_000 },
    ...{ maxImageBytes: 1000, traceRatio: 0, usagePoints: undefined, watchMs: 5 },
    run: () => Promise.resolve({ text: "done" }),
    ...more,
    ...("roomsFor" in more ? {} : { roomsFor: () => ({}) as never }),
  });
}

async function make(number: number, items: number): Promise<string> {
  const id = hex(number);
  await store.put(`jobs/t:ada/${id}/items`, '{"image":{}}\n'.repeat(items));
  await jobs.create({
    ...{ id, tenant: "ada", keyId: "k1", name: undefined, defaults: { task: "caption" } },
    items: Array.from({ length: items }, (_, at) => ({
      ...{ id: undefined, task: "caption" as const, at: at * 13, bytes: 13 },
    })),
    ...{ expiresAt: Date.now() + 60_000, webhook: undefined },
  });
  return id;
}
const countsOf = async (id: string) => {
  const { counts } = await jobs.read("ada", id);
  return counts ?? (await jobs.counts([id])).get(id);
};

test("a slice ends after so many items and passes the rest on at once; the last drops the job's file", async () => {
  const id = await make(1, 30);
  let [atOnce, most] = [0, 0];
  const run = lane({
    async run() {
      most = Math.max(most, (atOnce += 1));
      await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
      return { text: "done" };
    },
  });
  await run(id, on);
  expect(await countsOf(id)).toEqual({ succeeded: 24, waiting: 6 });
  expect(sent).toEqual([{ kind: "run", job: id, delaySeconds: 0 }]);
  await run(id, on);
  expect(await countsOf(id)).toEqual({ succeeded: 30 });
  expect([most, sent.length]).toEqual([4, 1]);
  expect([...objects.keys()].filter((key) => key.endsWith("/items"))).toEqual([]);
  expect(events.filter(({ outcome }) => outcome === "succeeded")).toHaveLength(30);
  await run(id, on);
  expect(events).toHaveLength(30);
});

test("a slice takes nothing new after its time", async () => {
  const id = await make(1, 10);
  let at = Date.now();
  const run = lane({
    now: () => at,
    run: () => {
      at += 1000;
      return Promise.resolve({});
    },
    sliceMs: 500,
  });
  await run(id, on);
  expect(await countsOf(id)).toEqual({ succeeded: 4, waiting: 6 });
});

test("when other jobs have every place it comes again soon; when its own lanes have, it ends", async () => {
  const [one, two] = [await make(1, 8), await make(2, 8)];
  await work.claim({ jobId: one, want: 4, perJob: 4, overall: 4, leaseMs: 60_000 });
  await lane({ overall: 4 })(two, on);
  expect(sent).toEqual([{ kind: "run", job: two, delaySeconds: 5 }]);
  await lane({ overall: 4 })(one, on);
  expect(sent).toHaveLength(1);
});

test("what may pass soon is waited for by a message, what may take long by the sweep", async () => {
  const id = await make(1, 1);
  await lane({ run: () => Promise.reject(new Error("once")) })(id, on);
  expect(sent).toMatchObject([{ kind: "run", job: id }]);
  expect(sent[0]?.delaySeconds).toBeGreaterThan(1);
  expect(sent[0]?.delaySeconds).toBeLessThanOrEqual(5);
  expect(events).toMatchObject([{ outcome: "again", attempt: 1, cause: "Error: once" }]);
  const other = await make(2, 1);
  const quota = new AppError("quota_exceeded", "", { retryAfterS: 86_400 });
  const rules = { maxAttempts: 3, firstWaitMs: 1, maxWaitMs: 1, maxPauseMs: 300_000 };
  await lane({ rules, run: () => Promise.reject(quota) })(other, on);
  expect(sent).toHaveLength(1);
  expect(await countsOf(other)).toEqual({ waiting: 1 });
});

test("a job that is canceled breaks off what runs, and its result is thrown away", async () => {
  const id = await make(1, 6);
  const reasons: unknown[] = [];
  const running = lane({
    run: (_rooms, _item, _defaults, _max, { signal }) =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => {
          reasons.push((signal.reason as AppError).code);
          // One gives its result all the same.
          if (reasons.length === 1) resolve({ text: "late" });
          else reject(signal.reason as Error);
        });
      }),
  })(id, on);
  await expect.poll(async () => (await jobs.read("ada", id)).state).toBe("running");
  await jobs.end(id, "canceled");
  await running;
  await Promise.all(later);
  expect(reasons).toEqual(["canceled", "canceled", "canceled", "canceled"]);
  expect(await countsOf(id)).toEqual({ canceled: 6 });
  expect(
    events.map(({ outcome }) => String(outcome)).toSorted((a, b) => a.localeCompare(b)),
  ).toEqual([...["discarded", "return", "return", "return"]]);
  expect([...objects.keys()]).toEqual([]);
});

test.each([
  ["is gone", undefined, "unauthorized"],
  ["lost the scope", { ...caller, scopes: ["infer" as const] }, "forbidden"],
  ["may keep nothing", { ...caller, noStore: true }, "forbidden"],
])("a key that %s ends its job", async (_, whom, code) => {
  const id = await make(1, 2);
  await lane({ callerOfKey: () => Promise.resolve(whom) })(id, on);
  expect(await jobs.read("ada", id)).toMatchObject({ state: "canceled", problem: { code } });
});

test("a key's own concurrency bounds its jobs", async () => {
  const id = await make(1, 6);
  let [atOnce, most] = [0, 0];
  await lane({
    callerOfKey: () => Promise.resolve({ ...caller, limits: { ...noLimits, concurrency: 2 } }),
    async run() {
      most = Math.max(most, (atOnce += 1));
      await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
      return {};
    },
  })(id, on);
  expect(most).toBe(2);
});

test("when nothing can be written down the item is left to its lease, and nothing is thrown", async () => {
  const id = await make(1, 1);
  const broken = () => Promise.reject(new Error("D1 is away"));
  await lane({ work: { ...work, record: broken, putBack: broken } })(id, on);
  expect(events).toMatchObject([{ outcome: "left", fault: "Error: D1 is away" }]);
  expect(await countsOf(id)).toEqual({ running: 1 });
});

test("an item whose file is gone fails in the end", async () => {
  const id = await make(1, 1);
  objects.clear();
  const rules = { maxAttempts: 1, firstWaitMs: 1, maxWaitMs: 1, maxPauseMs: 1 };
  await lane({ rules })(id, on);
  const [item] = await jobs.recorded(id, 0, 10);
  expect(item).toMatchObject({ state: "failed", problem: { code: "internal" } });
});
