// The caller's place in a trace, as the `traceparent` header of W3C Trace Context says it
// (https://www.w3.org/TR/trace-context/#traceparent-header). Anyone may send one: it is believed as far as it
// has the form, and no further. `tracestate` is not read: its text is somebody else's and would be passed on.

export interface TraceParent {
  /** 32 hex digits, not all zero. */
  readonly traceId: string;
  /** 16 hex digits, not all zero. */
  readonly spanId: string;
  readonly sampled: boolean;
}

export const traceparentHeader = "traceparent";

/** A later version may add fields after another dash; version 00 has none, and ff is forbidden. */
const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** Far above what any version needs. */
const maxLength = 256;
const sampledFlag = 1;

/** Undefined for what is absent or has not the form, which is no error: the trace then begins here. */
export function parseTraceparent(header: string | null | undefined): TraceParent | undefined {
  if (header === null || header === undefined || header.length > maxLength) return undefined;
  const [, version, traceId, spanId, flags, more] = form.exec(header) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & sampledFlag) !== 0 };
}

export const formatTraceparent = ({ traceId, spanId, sampled }: TraceParent): string =>
  `00-${traceId}-${spanId}-0${Number(sampled)}`;
