// Where a request stands in a trace: in its caller's, when it sent a `traceparent` of the W3C's form, else at
// the head of a new one. Whoever begins a trace decides whether it is kept; the node hears of the decision.
import { toHex } from "@blip2-edge/shared/hex";
import { parseTraceparent } from "@blip2-edge/shared/wire/traceparent";

export interface RequestTrace {
  readonly traceId: string;
  /** Of this request's own span. */
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly sampled: boolean;
}

export type RandomHex = (digits: number) => string;

/** Never all zero, which no id may be. */
export const randomHex: RandomHex = (digits) => {
  const hex = toHex(crypto.getRandomValues(new Uint8Array(digits / 2)));
  return /^0+$/.test(hex) ? `${hex.slice(1)}1` : hex;
};

/** `ratio`: of the requests whose caller has not decided, the part that is kept; 0 to 1. */
export function traceOf(
  header: string | null | undefined,
  ratio: number,
  random: RandomHex = randomHex,
): RequestTrace {
  const spanId = random(16);
  const caller = parseTraceparent(header);
  if (caller !== undefined) {
    const { traceId, spanId: parentSpanId, sampled } = caller;
    return { traceId, spanId, parentSpanId, sampled };
  }
  const traceId = random(32);
  // The W3C asks that the last 7 bytes of an id be random: 13 digits of them are exact as a number.
  const sampled = Number.parseInt(traceId.slice(-13), 16) < ratio * 16 ** 13;
  return { traceId, spanId, sampled };
}
