// A request and its hops as spans in OTLP's JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp). Every
// field that goes out is named here; none takes a text, an address, a tenant, a key or the id of a picture
// (docs/decisions/0111).
import type { Hop } from "./hops.ts";
import type { RequestTrace } from "./trace.ts";

/** What spans tell of a request: plain facts, most of which not every request has. */
export interface TracedRequest {
  readonly trace: RequestTrace;
  readonly startMs: number;
  readonly endMs: number;
  readonly method: string;
  /** The id of a route, never a path as it came. */
  readonly route: string | undefined;
  readonly status: number;
  readonly problem: string | undefined;
  readonly model: string | undefined;
  readonly modelRevision: string | undefined;
  readonly cache: string | undefined;
  readonly served: string | undefined;
  readonly inferences: number | undefined;
  readonly hops: readonly Hop[];
}

type Value = string | number | boolean | undefined;

const attributesOf = (values: Readonly<Record<string, Value>>): readonly unknown[] =>
  Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ({ key, value: otlpValue(value) }));

function otlpValue(value: Value): unknown {
  if (typeof value === "number") {
    return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  }
  return typeof value === "boolean" ? { boolValue: value } : { stringValue: value };
}

const nanos = (ms: number): string => `${Math.round(ms)}000000`;
const kinds = { internal: 1, server: 2, client: 3 } as const;
const [unset, failed] = [{ code: 0 }, { code: 2 }];
const firstServerError = 500;
const asksOthers: ReadonlySet<Hop["name"]> = new Set(["fetch", "node", "catalog"]);

/** The body of one export: the request's span and those of its hops. */
export function otlpOf(request: TracedRequest): string {
  const { trace, hops, startMs, endMs, method, route, status } = request;
  const { traceId, spanId, parentSpanId } = trace;
  const own = {
    ...{ traceId, spanId, ...(parentSpanId === undefined ? {} : { parentSpanId }) },
    name: route === undefined ? method : `${method} ${route}`,
    kind: kinds.server,
    startTimeUnixNano: nanos(startMs),
    endTimeUnixNano: nanos(endMs),
    attributes: attributesOf({
      "http.request.method": method,
      "http.route": route,
      "http.response.status_code": status,
      "error.type": request.problem,
      "gen_ai.request.model": request.model,
      "blip2.model_revision": request.modelRevision,
      "blip2.cache": request.cache,
      "blip2.served": request.served,
      "blip2.inferences": request.inferences,
    }),
    // By convention a server's span has failed when the server has.
    status: status >= firstServerError ? failed : unset,
  };
  const parts = hops.map((hop) => ({
    ...{ traceId, spanId: hop.spanId, parentSpanId: spanId, name: hop.name },
    kind: asksOthers.has(hop.name) ? kinds.client : kinds.internal,
    startTimeUnixNano: nanos(hop.startMs),
    endTimeUnixNano: nanos(hop.endMs),
    attributes: attributesOf({ "http.response.status_code": hop.status }),
    status: hop.failed ? failed : unset,
  }));
  const resource = { attributes: attributesOf({ "service.name": "blip2-edge" }) };
  const scopeSpans = [{ scope: { name: "blip2-edge" }, spans: [own, ...parts] }];
  return JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] });
}
