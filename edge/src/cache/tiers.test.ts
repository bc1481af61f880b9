import { expect, test } from "vitest";
import { memoryTiers } from "../../../test/support/memory-tiers.ts";

const asIs = (text: string): string => text;

test("the nearest tier answers, and what a far one has moves to the near ones", async () => {
  const { tiers, front, calls, settle } = memoryTiers({ maxBytes: 10_000 });
  await tiers.put("a", "1");
  calls.length = 0;
  expect(await tiers.find(["a"], asIs)).toEqual({ value: "1", path: "a" });
  expect(calls).toEqual([]);

  const other = memoryTiers({ maxBytes: 10_000 });
  other.back.set("a", "1");
  expect(await other.tiers.find(["a"], asIs)).toMatchObject({ value: "1" });
  await other.settle();
  expect(other.calls).toEqual(["front get", "back get", "front put"]);
  expect(other.tiers.recall("a")).toBe("1");
  await settle();
  expect([...front.keys()]).toEqual([...other.front.keys()]);
});

test("of several paths the first in the nearest tier; what is no value is passed over in each", async () => {
  const { tiers, back, front, settle } = memoryTiers({ maxBytes: 10_000 });
  await tiers.put("b", "near");
  back.set("a", "far");
  expect(await tiers.find(["a", "b"], asIs)).toEqual({ value: "near", path: "b" });
  const onlyFar = (text: string) => (text === "far" ? text : undefined);
  expect(await tiers.find(["a", "b"], onlyFar)).toEqual({ value: "far", path: "a" });
  await settle();
  expect(front.size).toBe(2);
  expect(await tiers.find(["c"], asIs)).toBeUndefined();
});

test("what is deleted is gone from every tier", async () => {
  const { tiers, front, back, settle } = memoryTiers({ maxBytes: 10_000 });
  await tiers.put("a", "1");
  await settle();
  await tiers.delete("a");
  expect([front.size, back.size, tiers.recall("a")]).toEqual([0, 0, undefined]);
});
