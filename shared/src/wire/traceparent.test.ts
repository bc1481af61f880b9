import { assert, boolean, property, string, stringMatching } from "fast-check";
import { expect, test } from "vitest";
import { formatTraceparent, parseTraceparent } from "./traceparent.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";

test.each([
  [`00-${traceId}-${spanId}-01`, true],
  [`00-${traceId}-${spanId}-00`, false],
  // Flags that are not known are not looked at.
  [`00-${traceId}-${spanId}-03`, true],
  [`00-${traceId}-${spanId}-02`, false],
  // A later version, with and without what it adds.
  [`01-${traceId}-${spanId}-01`, true],
  [`cc-${traceId}-${spanId}-01-what-the-future-holds`, true],
])("takes %s", (header, sampled) => {
  expect(parseTraceparent(header)).toEqual({ traceId, spanId, sampled });
});

test.each([
  null,
  undefined,
  "",
  "nonsense",
  `00-${traceId}-${spanId}`,
  `00-${traceId}-${spanId}-1`,
  `00-${traceId}-${spanId}-01-more`,
  `00-${traceId}-${spanId}-01 `,
  `00-${traceId.toUpperCase()}-${spanId}-01`,
  `00-${"0".repeat(32)}-${spanId}-01`,
  `00-${traceId}-${"0".repeat(16)}-01`,
  `ff-${traceId}-${spanId}-01`,
  `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`,
  `00-${traceId}-${spanId}-0g`,
  `00_${traceId}_${spanId}_01`,
  `01-${traceId}-${spanId}-01-${"x".repeat(1000)}`,
  `00-${traceId}-${spanId}-01\n`,
])("takes %j for none", (header) => {
  expect(parseTraceparent(header)).toBeUndefined();
});

test("reads back what is written, and never throws", () => {
  const hex = (digits: number) => stringMatching(new RegExp(`^[0-9a-f]{${digits - 1}}[1-9a-f]$`));
  assert(
    property(hex(32), hex(16), boolean(), (traceId, spanId, sampled) => {
      const header = `00-${traceId}-${spanId}-0${Number(sampled)}`;
      expect(parseTraceparent(header)).toEqual({ traceId, spanId, sampled });
      expect(formatTraceparent({ traceId, spanId, sampled })).toBe(header);
    }),
  );
  assert(property(string({ unit: "binary" }), (text) => void parseTraceparent(text)));
});
