// Retry-After comes as seconds or as a date (RFC 9110 section 10.2.3).
import { expect, test } from "vitest";
import { readRetryAfter } from "./explain-answer.ts";

test.each([
  ["7", 7],
  ["0", 0],
  ["Fri, 02 Jan 1970 00:00:10 GMT", 10],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ["soon", undefined],
  ["-3", undefined],
  [null, undefined],
])("%s", (value, seconds) => {
  expect(readRetryAfter(value, Date.UTC(1970, 0, 2))).toBe(seconds);
});
