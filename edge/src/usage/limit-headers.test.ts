import { expect, test } from "vitest";
import { noLimits } from "../auth/caller.ts";
import { limitHeaders, limitReport, reportViolation } from "./limit-headers.ts";

const february = Date.UTC(2032, 1, 10);

test("what a key may spend, and what this request knows of what is left", () => {
  const report = limitReport();
  expect(limitHeaders(report, february)).toEqual({});
  report.limits = noLimits;
  expect(limitHeaders(report, february)).toEqual({});
  report.limits = {
    ...{ requestsPerMinute: 60, inferencesPerDay: 10, inferencesPerMonth: 20, concurrency: 3 },
  };
  report.states.set("rate", { remaining: 59, resetS: 60 });
  const policy = [
    '"rate";q=60;w=60',
    '"day";q=10;w=86400;blip2-unit="inferences"',
    // A leap year's February.
    `"month";q=20;w=${29 * 86_400};blip2-unit="inferences"`,
    '"concurrency";q=3;qu="concurrent-requests"',
  ].join(", ");
  expect(limitHeaders(report, february)).toEqual({
    "ratelimit-policy": policy,
    ratelimit: '"rate";r=59;t=60',
  });
  reportViolation(report, "concurrency", { remaining: 0 });
  expect(limitHeaders(report, february)).toEqual({
    "ratelimit-policy": policy,
    ratelimit: '"concurrency";r=0',
  });
});
