import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Words } from "./adapter.ts";
import { isEmpty, isSame, missing, writable } from "./may-write.ts";

const none = { own: [], replaceable: undefined };
const wanted: Words = { alt: "a cat", tags: ["cat"] };

test.each<[Words, Words]>([
  [{ alt: null, tags: null }, wanted],
  [{ alt: "  ", tags: [] }, wanted],
  [{ alt: "by a human", tags: [""] }, { tags: ["cat"] }],
  [{ alt: "", tags: ["dog"] }, { alt: "a cat" }],
  [{ alt: null }, { alt: "a cat" }],
  [{ alt: "by a human", tags: ["dog"] }, {}],
])("into %j goes %j", (current, goes) => {
  expect(writable(wanted, current, none)).toEqual(goes);
});

test("our own words may be replaced, older ones of ours too, and those of others only when they were seen", () => {
  const own: Words[] = [{ alt: "ours" }, { alt: "ours of before", tags: ["a", "b"] }];
  const into = (current: Words, replaceable?: Words) =>
    writable(wanted, current, { own, replaceable });
  expect(into({ alt: " ours ", tags: ["a", "b"] })).toEqual(wanted);
  expect(into({ alt: "ours of before", tags: ["b", "a"] })).toEqual({ alt: "a cat" });
  expect(into({ alt: "theirs", tags: ["x"] }, { alt: "theirs", tags: ["y"] })).toEqual({
    alt: "a cat",
  });
});

test("what stands there already is not written", () => {
  expect(missing(wanted, { alt: "a cat", tags: ["dog"] })).toEqual({ tags: ["cat"] });
  expect(missing({ alt: null }, { alt: "" })).toEqual({});
});

const value = fc.option(fc.constantFrom("", " ", "ours", "theirs", "new"), { nil: null });
test("whatever the fields hold: what is neither empty nor ours nor seen is never in what may be written", () => {
  fc.assert(
    fc.property(value, value, value, value, (now, ours, seen, next) => {
      const rule = { own: [{ alt: ours }], replaceable: { alt: seen } };
      const may = "alt" in writable({ alt: next }, { alt: now }, rule);
      expect(may).toBe(isEmpty(now) || isSame(now, ours) || isSame(now, seen));
    }),
  );
});
