import fc from "fast-check";
import { expect, test } from "vitest";
import { findDuplicateKey } from "./duplicate-keys.ts";

test.each([
  ['{"a":1,"a":2}', "a"],
  ['{"a":1,"\\u0061":2}', "a"],
  ['{"x":{"b" : 1, "b"\n:2}}', "b"],
  ['[{"k":1},{"k":1}]', undefined],
  ['{"a":"a","b":"a"}', undefined],
  ['{"a":{"a":{"a":1}}}', undefined],
  ['{"a\\"":1,"a":2,"{":3,"}":4}', undefined],
  ['"a"', undefined],
])("%s", (text, expected) => {
  expect(findDuplicateKey(text)).toBe(expected);
});

test("what JSON.stringify writes never has one, and doubling a key is always found", () => {
  const key = fc.string();
  fc.assert(
    fc.property(fc.dictionary(key, fc.jsonValue({ maxDepth: 2 })), key, (value, name) => {
      expect(findDuplicateKey(JSON.stringify(value))).toBeUndefined();
      const pair = `${JSON.stringify(name)}:1`;
      expect(findDuplicateKey(`{${pair},"other":{},${pair}}`)).toBe(name);
    }),
  );
});
