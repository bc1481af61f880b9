// The inbox over SQLite: what is delivered twice is one row, an asset is worked on by one at a time, and a row is
// settled once.
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { memoryTables, type MemoryTables } from "../../../test/support/sqlite.ts";
import type { DeliveryRecord } from "./delivery-record.ts";
import { deliveryStore, type DeliveryStore } from "./delivery-store.ts";
import { because } from "./reasons.ts";
import { trailOf } from "./trail.ts";

const connectionId = "con_1";
let at = 0;
let table: MemoryTables;
let store: DeliveryStore;

beforeEach(() => {
  at = 1_000_000;
  table = memoryTables();
  table.db
    .prepare(
      `INSERT INTO connections (id, tenant, key_id, name, kind, base_url, allow_private, options, token,
         webhook_secret, created_at, updated_at) VALUES (?, 'ada', 'k', 'n', 'directus', 'u', 0, '{}', '', '', 0, 0)`,
    )
    .run(connectionId);
  let ids = 0;
  store = deliveryStore({
    table,
    now: () => at,
    newId: () => String((ids += 1)).padStart(32, "0"),
  });
});

const receive = (assetId: string, version?: string, from = `sha256:${assetId}${version}`) =>
  store.receive(
    connectionId,
    [{ event: "files.upload", assetId, ...(version === undefined ? {} : { version }) }],
    from,
  );
const claim = (want = 10, atOnce = 10) =>
  store.claim({ connectionId, want, atOnce, leaseMs: 1000 });
const list = async () => (await store.list(connectionId, {}, undefined)).deliveries;

test("one delivery, and one version of an asset, is one row however often it comes", async () => {
  expect(await receive("a", "1")).toEqual({ received: 1, known: 0, woken: 0 });
  expect(await receive("a", "1")).toEqual({ received: 0, known: 1, woken: 0 });
  expect(await receive("a", "1", "another body")).toEqual({ received: 0, known: 1, woken: 0 });
  expect(await receive("a", "2")).toEqual({ received: 1, known: 0, woken: 0 });
  expect((await list()).map(({ version, seen }) => [version, seen])).toEqual([
    ["2", 1],
    ["1", 3],
  ]);
});

test("what asks for nothing is told, and does not stand in the way of what does", async () => {
  const notice = {
    event: "files.update",
    assetId: "a",
    version: "1",
    skip: "unknown_event",
  } as const;
  await store.receive(connectionId, [notice], "x");
  expect(await receive("a", "1")).toEqual({ received: 1, known: 0, woken: 0 });
  expect((await claim()).map(({ event }) => event)).toEqual(["files.upload"]);
  expect((await list()).at(-1)).toMatchObject({ state: "skipped", reason: "unknown_event" });
});

describe("a claim", () => {
  test("takes one row of an asset at a time, and no more than may be", async () => {
    await receive("a", "1");
    await receive("a", "2");
    await receive("b", "1");
    await receive("c", "1");
    expect((await claim(10, 2)).map(({ asset_id, version }) => asset_id + version)).toEqual([
      ...["a1", "b1"],
    ]);
    expect(await claim(10, 2)).toEqual([]);
    const [next] = await claim(10, 3);
    expect(next?.asset_id).toBe("c");
  });

  test("ends by itself, and whose it was settles nothing any more", async () => {
    await receive("a", "1");
    const [first] = await claim();
    at += 1001;
    const [second] = await claim();
    expect(second).toMatchObject({ id: first?.id, attempts: 2 });
    await store.settle(first as DeliveryRecord, "failed", because("file_broken"));
    expect((await list())[0]?.state).toBe("fetching");
    await store.settle(second as DeliveryRecord, "written", undefined);
    expect((await list())[0]).toMatchObject({ state: "written", reason: null });
    const { events } = await trailOf(table, connectionId, "a", undefined);
    expect(events.map(({ what, who }) => `${what} by ${who}`)).toEqual([
      ...["written by worker", "received by sender"],
    ]);
  });

  test("takes nothing of a connection that pauses", async () => {
    await receive("a", "1");
    table.db.prepare("UPDATE connections SET paused_until = ?").run(at + 500);
    expect(await claim()).toEqual([]);
    expect(await store.standing(connectionId)).toEqual({ nextDueAt: at + 500, running: 0 });
    at += 500;
    expect(await claim()).toHaveLength(1);
    expect(await store.standing(connectionId)).toEqual({ nextDueAt: undefined, running: 1 });
  });
});

test("put back it waits; its attempt counts or does not", async () => {
  await receive("a", "1");
  const [first] = await claim();
  await store.putBack(first as DeliveryRecord, 100, true, because("key_ended"));
  expect((await list())[0]).toMatchObject({ state: "queued", attempts: 0, reason: "key_ended" });
  expect(await claim()).toEqual([]);
  at += 100;
  const [second] = await claim();
  await store.putBack(second as DeliveryRecord, 0, false, undefined);
  expect((await list())[0]).toMatchObject({ attempts: 1, reason: null });
});

test("a version that turns out to be another row's is not taken", async () => {
  await receive("a");
  await receive("b", "1");
  const [a, b] = await claim();
  expect(await store.adoptVersion(a as DeliveryRecord, "1")).toBe(true);
  expect(await receive("a", "1", "late")).toEqual({ received: 0, known: 1, woken: 0 });
  await receive("b", "2");
  expect(await store.adoptVersion(b as DeliveryRecord, "2")).toBe(false);
});

test("what is dead lives again by a sweep or a replay; what is done only by a replay", async () => {
  await receive("a", "1");
  const kill = async () => {
    const [row] = await claim();
    await store.settle(row as DeliveryRecord, "dead", because("asset_gone"));
    return row?.id ?? "";
  };
  const id = await kill();
  await receive("a", "1", "again");
  expect(await claim()).toEqual([]);
  await receive("a", "1", "sweep");
  expect(await kill()).toBe(id);
  await store.replay(connectionId, id, "key");
  const [row] = await claim();
  await store.settle(row as DeliveryRecord, "written", undefined);
  await receive("a", "1", "sweep");
  expect(await claim()).toEqual([]);
  expect(await store.replay(connectionId, id, "key")).toMatchObject({ state: "queued" });
  await expect(store.replay("con_2", id, "key")).rejects.toMatchObject({ code: "not_found" });
});

test("overdue connections are found, and old rows forgotten but for versions that were worked on", async () => {
  await receive("a", "1");
  expect(await store.overdue(at - 1, 10)).toEqual([]);
  expect(await store.overdue(at, 10)).toEqual([connectionId]);
  const [row] = await claim();
  await store.settle(row as DeliveryRecord, "written", undefined);
  await store.receive(connectionId, [{ event: "ping", skip: "unknown_event" }], "p");
  await store.forget(at + 1, 100);
  expect((await list()).map(({ event }) => event)).toEqual(["files.upload"]);
  expect((await trailOf(table, connectionId, undefined, undefined)).events).toEqual([]);
});

test("whatever comes in whatever order: never two at a time of an asset, and every row ends", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("receive" as const), asset: fc.nat(2), version: fc.nat(2) }),
    fc.record({ kind: fc.constantFrom("claim" as const, "settle" as const, "wait" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      table.db.exec("DELETE FROM deliveries");
      const held = new Map<string, { row: DeliveryRecord; until: number }>();
      const live = () => [...held.values()].filter(({ until }) => until > at);
      for (const each of steps) {
        if (each.kind === "receive") await receive(String(each.asset), String(each.version));
        if (each.kind === "wait") at += 600;
        if (each.kind === "claim") {
          for (const row of await claim(2, 3)) {
            expect(live().map((one) => one.row.asset_id)).not.toContain(row.asset_id);
            held.set(row.id, { row, until: at + 1000 });
          }
          expect(live().length).toBeLessThanOrEqual(3);
        }
        const [first] = held.values();
        if (each.kind === "settle" && first !== undefined) {
          await store.settle(first.row, "written", undefined);
          held.delete(first.row.id);
        }
      }
      at += 2000;
      for (let turns = 0; turns < 20; turns++) {
        for (const row of await claim()) await store.settle(row, "written", undefined);
      }
      expect((await list()).filter(({ state }) => state !== "written")).toEqual([]);
    }),
    { numRuns: 60 },
  );
});
