import { expect, test } from "vitest";
import { alongTheWay, cachingOf, freshened, type Caching } from "./freshness.ts";

const arrivedAt = Date.UTC(2030, 0, 1);
const exchanged = { sentAt: arrivedAt, arrivedAt };
const date = new Date(arrivedAt).toUTCString();
const at = (ms: number) => new Date(arrivedAt + ms).toUTCString();
const cachingFrom = (headers: Record<string, string>, more = exchanged) =>
  cachingOf(new Headers(headers), more);
const lifetimes = (cacheControl: string, more: Record<string, string> = {}) => {
  const found = cachingFrom({ "cache-control": cacheControl, ...more })?.lifetimes;
  return found && [found.freshS, found.staleWhileRevalidateS, found.staleIfErrorS];
};

test("lifetimes: what the answer says, and none where it says nothing or contradicts itself", () => {
  expect(lifetimes("max-age=60")).toEqual([60, 0, 0]);
  expect(lifetimes("max-age=60, s-maxage=10")).toEqual([10, 0, 0]);
  expect(lifetimes('MAX-AGE="60" , stale-while-revalidate=5, stale-if-error=7')).toEqual([
    60, 5, 7,
  ]);
  expect(lifetimes("max-age=60, max-age=9")).toEqual([60, 0, 0]);
  expect(lifetimes("max-age=1.5")).toEqual([0, 0, 0]);
  expect(lifetimes("max-age=-1")).toEqual([0, 0, 0]);
  expect(lifetimes("max-age")).toEqual([0, 0, 0]);
  expect(lifetimes("max-age=99999999999999999999")).toEqual([2 ** 31, 0, 0]);
  expect(lifetimes("", { expires: at(60_000), date })).toEqual([60, 0, 0]);
  expect(lifetimes("", { expires: "0", date })).toEqual([0, 0, 0]);
  expect(lifetimes("", { expires: at(60_000) })).toEqual([0, 0, 0]);
  expect(lifetimes("max-age=1", { expires: at(60_000), date })).toEqual([1, 0, 0]);
  expect(lifetimes("public", { "last-modified": at(-9e9), date })).toEqual([0, 0, 0]);
});

test("what forbids using it past its time, or at all", () => {
  const stale = "max-age=60, stale-while-revalidate=5, stale-if-error=7";
  expect(lifetimes(`${stale}, must-revalidate`)).toEqual([60, 0, 0]);
  expect(lifetimes(`proxy-revalidate, ${stale}`)).toEqual([60, 0, 0]);
  expect(lifetimes(`${stale}, no-cache`)).toEqual([0, 0, 0]);
  expect(lifetimes(stale, { vary: "*" })).toEqual([0, 0, 0]);
  expect(lifetimes(stale, { vary: "Accept" })).toEqual([60, 5, 7]);
  expect(lifetimes(`${stale}, no-store`)).toBeUndefined();
});

test("its age counts from when it was made: by Date, by Age, by how long it took", () => {
  const since = (headers: Record<string, string>, tookMs = 0) =>
    (cachingFrom(headers, { sentAt: arrivedAt - tookMs, arrivedAt })?.since ?? 0) - arrivedAt;
  expect(since({})).toBe(0);
  expect(since({ date: at(-5000) })).toBe(-5000);
  expect(since({ date: at(5000) })).toBe(0);
  expect(since({ date: at(-5000), age: "30" }, 1000)).toBe(-31_000);
  expect(since({ age: "x" }, 700)).toBe(-700);
});

test("a 304 replaces what it names", () => {
  const kept = cachingFrom({ "cache-control": "max-age=60", etag: '"1"', "last-modified": date });
  if (kept === undefined) throw new Error("kept nothing");
  const later = { sentAt: arrivedAt + 90_000, arrivedAt: arrivedAt + 90_000 };
  const after = (headers: Record<string, string>) => freshened(kept, new Headers(headers), later);
  expect(after({})).toEqual({ ...kept, since: later.arrivedAt });
  expect(after({ "cache-control": "max-age=5", etag: 'W/"1"' })).toMatchObject({
    lifetimes: { freshS: 5 },
    validators: { etag: 'W/"1"', lastModified: date },
  });
  expect(after({ "cache-control": "no-store" })).toBeUndefined();
});

test("a way is fresh until its first hop is not", () => {
  const hop = (freshS: number, since: number): Caching => ({
    lifetimes: { freshS, staleWhileRevalidateS: freshS, staleIfErrorS: 9 },
    validators: {},
    since,
  });
  const way = alongTheWay(hop(60, arrivedAt), hop(20, arrivedAt - 5000));
  expect(way.lifetimes).toEqual({ freshS: 15, staleWhileRevalidateS: 20, staleIfErrorS: 9 });
  expect(alongTheWay(hop(60, arrivedAt), hop(0, arrivedAt - 5000)).lifetimes.freshS).toBe(0);
});
