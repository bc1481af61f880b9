// A backfill over SQLite, with a scripted list and a clock that stands still until it is told: what is listed is put
// into the inbox at the rate and once, whoever is killed, halted or told twice in between.
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { CreateBackfillRequest } from "@blip2-edge/shared/contracts/backfills";
import { memoryTables, type MemoryTables } from "../../../test/support/sqlite.ts";
import type { UntitledPage } from "./adapter.ts";
import { backfillRunner, type RunBackfill } from "./backfill.ts";
import { backfillOf } from "./backfill-record.ts";
import { backfillSteps, type BackfillSteps } from "./backfill-steps.ts";
import { backfillStore, type BackfillStore } from "./backfill-store.ts";
import { CmsFault } from "./cms-fault.ts";
import { connectionBook } from "./connection-book.ts";
import { deliveryStore, type DeliveryStore } from "./delivery-store.ts";
import type { DeliveryRecord } from "./delivery-record.ts";
import { because } from "./reasons.ts";
import { trailOf } from "./trail.ts";

const connection = `con_${"1".repeat(32)}`;
const id = `bkf_${"2".repeat(32)}`;
const perPage = 4;
let at = 0;
let table: MemoryTables;
let backfills: BackfillStore;
let steps: BackfillSteps;
let inbox: DeliveryStore;
let run: RunBackfill;
/** What the CMS lists: pictures without words. */
let library: string[];
let faults: unknown[];
/** Runs while the CMS is asked for a page. */
let meanwhile: (() => Promise<unknown>) | undefined;
let sent: { readonly kind: string; readonly delaySeconds: number }[];

function begin(): void {
  at = 1_000_000;
  table = memoryTables();
  table.db
    .prepare(
      `INSERT INTO connections (id, tenant, key_id, name, kind, base_url, allow_private, options, token,
         webhook_secret, created_at, updated_at) VALUES (?, 'ada', 'k', 'n', 'directus', 'u', 0, '{}', '', '', 0, 0)`,
    )
    .run(connection);
  const now = () => at;
  backfills = backfillStore({ table, now });
  steps = backfillSteps({ table, now });
  inbox = deliveryStore({ table, now });
  library = Array.from({ length: 10 }, (_, index) => `a${index}`);
  faults = [];
  meanwhile = undefined;
  sent = [];
  run = backfillRunner({
    ...{ steps, backfills, now },
    book: connectionBook({ table, sealer: undefined as never, now }),
    connected: undefined as never,
    callerOfKey: undefined as never,
    queue: {
      send: ({ kind }, { delaySeconds } = { delaySeconds: 0 }) =>
        Promise.resolve(sent.push({ kind, delaySeconds })),
    },
    rules: { maxAttempts: 3, firstWaitMs: 1000, maxWaitMs: 60_000, maxPauseMs: 60_000 },
    ...{ timeoutMs: 1000, sliceMs: 5000 },
    listPage: async (_, { cursor }) => {
      const fault = faults.shift();
      if (fault !== undefined) throw fault;
      await meanwhile?.();
      const from = Number(cursor ?? 0);
      const page = library.slice(from, from + perPage);
      const next = from + perPage < library.length ? String(from + perPage) : undefined;
      const listed: UntitledPage = {
        assets: page.map((asset) => ({ id: asset, version: "1" })),
        cursor: next,
      };
      return listed;
    },
  });
}
beforeEach(begin);

const create = (more: Partial<CreateBackfillRequest> = {}) =>
  backfills.create(id, "ada", "key", { connection, rate: 60, ...more });
const step = () => run(id, { write: () => {}, later: () => {} });
const told = async () => {
  const standing = (await backfills.standing([id])).get(id) ?? {};
  return backfillOf(await backfills.read("ada", id), standing, { until: 0, reason: null }, at);
};
const claim = (want = 10, atOnce = 10) =>
  inbox.claim({ connectionId: connection, want, atOnce, leaseMs: 1000 });
/** Works off what is due; those pictures get words, so the CMS lists them no more. */
async function workOff(state: "written" | "failed" = "written"): Promise<string[]> {
  const done: string[] = [];
  for (;;) {
    const rows = await claim();
    if (rows.length === 0) return done;
    for (const row of rows) {
      await inbox.settle(row, state, undefined);
      done.push(row.asset_id);
      if (state === "written") library = library.filter((asset) => asset !== row.asset_id);
    }
  }
}
/** Seconds go by, with a step whenever its message would come, until it is over. */
async function untilOver(seconds = 200): Promise<string[]> {
  const done: string[] = [];
  for (let second = 0; second < seconds; second++) {
    await step();
    done.push(...(await workOff()));
    if ((await told()).ended_at !== null) return done;
    at += 1000;
  }
  throw new Error(`it is ${JSON.stringify(await told())}`);
}

test("all is listed, then worked off at the rate, each once; then it is done, and says so", async () => {
  await create();
  await step();
  expect(await told()).toMatchObject({
    ...{ state: "running", listing: false, left: 10, left_s: 10 },
    counts: { found: 10, known: 0, listed: 10, waiting: 0, queued: 10 },
  });
  expect(await workOff()).toEqual(["a0"]);
  at += 3000;
  expect(await workOff()).toEqual(["a1", "a2", "a3"]);
  const rest = await untilOver();
  expect(rest).toEqual(["a4", "a5", "a6", "a7", "a8", "a9"]);
  expect(await told()).toMatchObject({
    ...{ state: "done", left: 0, left_s: 0 },
    counts: { found: 10, listed: 10, written: 10 },
  });
  const { events } = await trailOf(table, connection, undefined, undefined);
  expect(events.filter(({ subject }) => subject === id).map(({ what }) => what)).toEqual([
    ...["backfill_done", "backfill_started"],
  ]);
});

test.each([
  ["its messages", 1],
  ["the clock alone", 60],
])("%s keep the rate, with no more than a minute of it in the inbox", async (_, everyS) => {
  library = Array.from({ length: 300 }, (_one, index) => `a${index}`);
  await create({ rate: 120 });
  await step();
  while ((await told()).listing) await step();
  expect((await told()).counts).toMatchObject({ waiting: 180, queued: 120 });
  let done = 0;
  for (let second = 1; second <= 120; second++) {
    done += (await workOff()).length;
    at += 1000;
    if (second % everyS === 0) await step();
    expect((await told()).counts.queued).toBeLessThanOrEqual(121);
  }
  // The last of the second minute is due half a second later.
  expect(done).toBe(239);
});

describe("a list that shrinks while it is read", () => {
  test("is read again until it has nothing new, so that nothing is passed over", async () => {
    await create();
    // After the first page a webhook's picture gets words: the pages that follow begin one later.
    let pages = 0;
    meanwhile = async () => {
      if ((pages += 1) === 2) library.shift();
    };
    await step();
    expect((await told()).counts.listed).toBe(9);
    expect((await untilOver()).at(-1)).toBe("a4");
    expect((await told()).counts).toMatchObject({ written: 10, found: 10 });
  });

  test("what fails is not asked about for ever", async () => {
    await create({ rate: 600 });
    for (let second = 0; second < 40 && (await told()).ended_at === null; second++) {
      await step();
      await workOff("failed");
      at += 1000;
    }
    expect(await told()).toMatchObject({ state: "done", counts: { failed: 10, listed: 10 } });
  });
});

describe("what the inbox knows", () => {
  const webhook = (asset: string, from = `sha256:${asset}`) =>
    inbox.receive(connection, [{ event: "files.upload", assetId: asset, version: "1" }], from);

  test("is not asked about again when it has words; what ended without any is", async () => {
    for (const asset of ["a0", "a1", "a2"]) await webhook(asset);
    const [written, failed, waits] = (await claim()).toSorted((a, b) =>
      a.asset_id.localeCompare(b.asset_id),
    );
    await inbox.settle(written as DeliveryRecord, "written", undefined);
    await inbox.settle(failed as DeliveryRecord, "failed", because("file_broken"));
    await inbox.putBack(waits as DeliveryRecord, 60_000, false, undefined);
    await create();
    await step();
    expect((await told()).counts).toMatchObject({ found: 10, known: 2, listed: 8 });
    const { deliveries } = await inbox.list(connection, { assetId: "a1" }, undefined);
    expect(deliveries).toHaveLength(1);
  });

  test("a webhook of a picture whose turn has not come makes it its turn, and nothing twice", async () => {
    await create({ rate: 1 });
    await step();
    await workOff();
    expect(await webhook("a7")).toEqual({ received: 0, known: 1, woken: 1 });
    at += 1;
    expect(await webhook("a7", "again")).toEqual({ received: 0, known: 1, woken: 0 });
    expect(await workOff()).toEqual(["a7"]);
    expect((await told()).counts).toMatchObject({ written: 2, listed: 10 });
  });

  test("what comes in fresh goes first, and one place is free for it", async () => {
    await create({ rate: 600 });
    await step();
    at += 2000;
    expect(await claim(10, 4)).toHaveLength(3);
    await webhook("b");
    expect((await claim(10, 4)).map(({ asset_id: asset }) => asset)).toEqual(["b"]);
    await webhook("c");
    at += 1001;
    expect((await claim(2, 4)).map(({ asset_id: asset }) => asset).toSorted()).toEqual(["b", "c"]);
  });

  test("a new file of a picture that waits does not wait behind it", async () => {
    await create({ rate: 600 });
    await step();
    at += 2000;
    await inbox.receive(connection, [{ event: "e", assetId: "a9", version: "2" }], "x");
    const [first] = await claim(1);
    expect([first?.asset_id, first?.version]).toEqual(["a9", "2"]);
  });
});

test("a dry run counts, and leaves nothing behind", async () => {
  await inbox.receive(connection, [{ event: "e", assetId: "a3", version: "1" }], "x");
  await workOff();
  library.push("a3");
  await create({ dry_run: true });
  await step();
  expect(await told()).toMatchObject({ state: "done", counts: { found: 10, known: 1, listed: 9 } });
  expect((await inbox.list(connection, {}, undefined)).deliveries).toHaveLength(1);
});

test("a limit is a limit", async () => {
  await create({ limit: 6 });
  expect(await untilOver()).toHaveLength(6);
  expect(await told()).toMatchObject({
    state: "done",
    counts: { found: 6, listed: 6, written: 6 },
  });
});

describe("halted", () => {
  test("nothing that was not begun is begun; resumed it goes on where it was", async () => {
    await create();
    await step();
    await workOff();
    at += 1000;
    const [held] = await claim(1);
    const paused = await backfills.pause(id, "key", because("paused_by_person"));
    expect(paused).toMatchObject({ state: "paused", reason: "paused_by_person" });
    at += 100_000;
    await step();
    await inbox.settle(held as DeliveryRecord, "written", undefined);
    library = library.filter((asset) => asset !== held?.asset_id);
    expect(await claim()).toEqual([]);
    expect((await told()).counts).toMatchObject({ waiting: 8, written: 2 });
    await backfills.resume(id, "key", 600);
    expect(await untilOver()).toHaveLength(8);
    expect((await told()).counts).toMatchObject({ listed: 10, written: 10 });
  });

  test("while a page is asked for: the page is listed when it is resumed, and once", async () => {
    await create();
    meanwhile = () => backfills.pause(id, "key", because("paused_by_person"));
    await step();
    expect((await told()).counts).toMatchObject({ found: 0, listed: 0 });
    meanwhile = undefined;
    await backfills.resume(id, "key", undefined);
    expect(await untilOver()).toHaveLength(10);
    expect((await told()).counts.found).toBe(10);
  });

  test("cancelled: what was not begun is forgotten, so that whoever tells of it later is heard", async () => {
    await create({ rate: 1 });
    await step();
    await workOff();
    await backfills.end(id, "cancelled", "key", because("cancelled_by_person"));
    expect(await told()).toMatchObject({
      ...{ state: "cancelled", left: 0 },
      counts: { listed: 10, written: 1, waiting: 0 },
    });
    at += 100_000;
    await step();
    expect(await claim()).toEqual([]);
    const notice = { event: "e", assetId: "a5", version: "1" };
    expect(await inbox.receive(connection, [notice], "x")).toMatchObject({ received: 1 });
    // Another one may follow.
    await expect(backfills.create(`${id}3`, "ada", "key", { connection })).resolves.toBeDefined();
  });

  test("deleted with its connection in the middle of a page it leaves no rows", async () => {
    await create();
    const book = connectionBook({ table, sealer: undefined as never });
    meanwhile = () => book.remove("ada", connection);
    await step();
    const { n } = table.db.prepare("SELECT count(*) AS n FROM deliveries").get() as { n: number };
    expect(n).toBe(0);
    await expect(backfills.read("ada", id)).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("one at a time", () => {
  test("of a connection: another one is told which is open; the same id is the same one", async () => {
    await create();
    await expect(create({ rate: 5 })).resolves.toMatchObject({ rate: 60 });
    await expect(
      backfills.create(`bkf_${"3".repeat(32)}`, "ada", "key", { connection }),
    ).rejects.toMatchObject({
      code: "backfill_open",
      detail: expect.stringContaining(id) as unknown,
    });
    await expect(backfills.read("bob", id)).rejects.toMatchObject({ code: "not_found" });
  });

  test("step: a message that comes twice does it once, and who lost the lease writes nothing", async () => {
    await create();
    const late = await steps.claim(id, 1000);
    if (late === undefined) throw new Error("nothing to claim");
    expect(await steps.claim(id, 1000)).toBeUndefined();
    at += 1001;
    await step();
    const page = { assets: [{ id: "z", version: "1" }], cursor: undefined };
    expect(await steps.takePage(late, page)).toBeUndefined();
    expect(await steps.release(late, at + 60_000)).toBeUndefined();
    await steps.rest(late, 0, because("mode_off"));
    expect(await told()).toMatchObject({ reason: null, counts: { found: 10, listed: 10 } });
  });
});

describe("a CMS that fails", () => {
  test("is asked again, less and less often, and then waits for a person, with the reason", async () => {
    await create();
    faults = Array.from({ length: 3 }, () => new CmsFault("token_refused"));
    await step();
    expect(await told()).toMatchObject({ state: "running", reason: "token_refused" });
    expect(sent.at(-1)).toMatchObject({ kind: "backfill", delaySeconds: 1 });
    for (let turn = 0; turn < 2; turn++) {
      at += 60_000;
      await step();
    }
    const { detail, ...rest } = await told();
    expect(rest).toMatchObject({ state: "paused", reason: "token_refused", resumes_at: null });
    expect(detail).toContain("refused the connection's token");
    await backfills.resume(id, "key", undefined);
    expect(await untilOver()).toHaveLength(10);
  });

  test("with what will not go well by itself ends it", async () => {
    await create();
    faults = [new CmsFault("cms_unexpected")];
    await step();
    expect(await told()).toMatchObject({
      state: "failed",
      reason: "cms_unexpected",
      listing: false,
    });
  });

  test("that asks us to wait is not asked before", async () => {
    await create();
    faults = [new CmsFault("cms_busy", { retryAfterS: 30 })];
    await step();
    at += 29_000;
    await step();
    expect((await told()).counts.found).toBe(0);
    at += 1000;
    await step();
    expect((await told()).counts.found).toBe(10);
  });
});

test("what holds up the connection pauses it until then, and says why", async () => {
  await create();
  await step();
  const heldUp = { until: at + 5000, reason: "quota_exceeded" };
  const record = await backfills.read("ada", id);
  expect(backfillOf(record, {}, heldUp, at)).toMatchObject({
    ...{ state: "paused", reason: "quota_exceeded", detail: "The key's quota is used up." },
    resumes_at: new Date(at + 5000).toISOString(),
  });
  expect(backfillOf(record, {}, heldUp, at + 5000)).toMatchObject({
    state: "running",
    reason: null,
  });
});

test("what could not be worked on for a while is not made good by a burst", async () => {
  library = Array.from({ length: 200 }, (_, index) => `a${index}`);
  await create();
  while ((await told()).listing) await step();
  at += 600_000;
  await step();
  expect(await workOff()).toHaveLength(1);
});

test("whatever is halted, killed, told of or replaced in between: every picture has one row, and ends", async () => {
  const act = fc.constantFrom("step", "lose", "work", "die", "wait", "pause", "resume", "webhook");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(act, fc.nat(9)), { maxLength: 40 }), async (acts) => {
      begin();
      await create({ rate: 600 });
      for (const [what, number] of acts) {
        // A Worker that dies in the middle of a page, or of its work, leaves its lease.
        if (what === "lose") await steps.claim(id, 1000);
        if (what === "die") await claim(2, 4);
        if (what === "step") await step();
        if (what === "wait") at += 700;
        if (what === "pause") await backfills.pause(id, "key", because("paused_by_person"));
        if (what === "resume") await backfills.resume(id, "key", undefined);
        if (what === "webhook") {
          const notice = { event: "e", assetId: `a${number}`, version: "1" };
          await inbox.receive(connection, [notice], `sha256:${number}`);
        }
        if (what === "work") {
          for (const row of await claim(2, 4)) {
            await inbox.settle(row, "written", undefined);
            library = library.filter((asset) => asset !== row.asset_id);
          }
        }
      }
      if ((await told()).ended_at === null) {
        await backfills.resume(id, "key", undefined);
        at += 2000;
        await untilOver();
      }
      await workOff();
      const rows = table.db.prepare("SELECT asset_id, state FROM deliveries").all() as {
        readonly asset_id: string;
        readonly state: string;
      }[];
      expect(rows.map(({ asset_id: asset }) => asset).toSorted()).toEqual(
        Array.from({ length: 10 }, (_, index) => `a${index}`),
      );
      expect(rows.filter(({ state }) => state !== "written")).toEqual([]);
      const { counts } = await told();
      expect(counts).toMatchObject({ waiting: 0, queued: 0, written: counts.listed });
    }),
    { numRuns: 60 },
  );
});
