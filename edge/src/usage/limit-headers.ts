// RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10): what a key may spend, and what
// of it is left as far as this request has learnt it. A cache hit asks no meter, so it tells the rate alone.
import type { KeyLimits } from "../auth/caller.ts";
import { secondsOfMonth } from "./calendar.ts";
import { rateWindowS } from "./rate.ts";

export type LimitName = "rate" | "day" | "month" | "concurrency";

export interface LimitState {
  readonly remaining: number;
  /** Seconds until there is more; absent when it is not known. */
  readonly resetS?: number;
}

/** Filled while a request is served. */
export interface LimitReport {
  limits: KeyLimits | undefined;
  readonly states: Map<LimitName, LimitState>;
}
export const limitReport = (): LimitReport => ({ limits: undefined, states: new Map() });

/** Of a refused request only the limit that refused it is told: Retry-After is about that one. */
export function reportViolation({ states }: LimitReport, name: LimitName, state: LimitState): void {
  states.clear();
  states.set(name, state);
}

/** The draft knows requests, bytes and concurrent requests as units; ours is a parameter of our own. */
const inferences = ';blip2-unit="inferences"';

/** As structured fields (RFC 9651): lists of strings with parameters. */
export function limitHeaders(
  { limits, states }: LimitReport,
  now: number = Date.now(),
): Record<string, string> {
  if (limits === undefined) return {};
  const policies: [LimitName, number | null, string][] = [
    ["rate", limits.requestsPerMinute, `;w=${rateWindowS}`],
    ["day", limits.inferencesPerDay, `;w=86400${inferences}`],
    ["month", limits.inferencesPerMonth, `;w=${secondsOfMonth(now)}${inferences}`],
    ["concurrency", limits.concurrency, ';qu="concurrent-requests"'],
  ];
  const policy = policies
    .filter(([, quota]) => quota !== null)
    .map(([name, quota, more]) => `"${name}";q=${quota}${more}`);
  const state = Array.from(
    states,
    ([name, { remaining, resetS }]) =>
      `"${name}";r=${remaining}${resetS === undefined ? "" : `;t=${resetS}`}`,
  );
  return {
    ...(policy.length === 0 ? {} : { "ratelimit-policy": policy.join(", ") }),
    ...(state.length === 0 ? {} : { ratelimit: state.join(", ") }),
  };
}
