// The door: every route of the node. Two mute health routes stand outside; everything else, unknown
// paths included, is behind the signature, so that who cannot sign learns nothing. Never runs a model
// and never blocks: the engine is another process.
import { AppError, problemResponse, toProblem } from "@blip2-edge/shared/problem";
import { maxFramedBytes } from "@blip2-edge/shared/wire/frame";
import {
  type Catalog,
  type CatalogModel,
  type InferResponse,
  protocolHeader,
  protocolVersion,
} from "@blip2-edge/shared/wire/protocol";
import type { Verifier } from "@blip2-edge/shared/wire/signature";
import { Hono } from "hono";
import { inspect } from "node:util";
import type { Dispatcher } from "../engine/dispatcher.ts";
import type { ImageJob } from "../engine/messages.ts";
import type { EngineState } from "../engine/supervisor.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { noTracing, type Tracing } from "../observe/traced-request.ts";
import { parseTraceparent, traceparentHeader } from "@blip2-edge/shared/wire/traceparent";
import { embed } from "./embed-route.ts";
import { createEventStream, type EventStream, eventStreamHeaders } from "./event-stream.ts";
import { infer } from "./infer-route.ts";
import type { Answered, JobCall } from "./job-route.ts";
import { match } from "./match-route.ts";
import { readBody } from "./read-body.ts";
import {
  type Ending,
  jobFields,
  noRoute,
  type ReportedRequest,
  round,
  serverTiming,
  tracedRequest,
} from "./request-report.ts";

export interface Door {
  /** What the door asks of its engine. */
  readonly engine: {
    readonly state: EngineState;
    readonly models: readonly CatalogModel[];
    holds(job: ImageJob): boolean;
    retryAfterS(): number;
    /** Opens the artifacts again; resolves with what is served once it is in place. */
    reload(): Promise<readonly CatalogModel[]>;
  };
  readonly dispatcher: Pick<Dispatcher, "run">;
  readonly verifier: Pick<Verifier, "identify">;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly tracing?: Tracing;
  /** True once the node is shutting down: it is no longer ready, though what runs may finish. */
  readonly draining?: () => boolean;
  readonly bodyTimeoutMs?: number;
  readonly now?: () => number;
  readonly requestId?: () => string;
}

/** What is found out of a request, while it is, for its log line and its trace. */
type Seen = {
  -readonly [Field in keyof ReportedRequest]: ReportedRequest[Field];
} & {
  /** Of the key that signed it; undefined until its signature was found to be valid. */
  keyId: string | undefined;
  error?: unknown;
  /** Resolves when an answer that is a stream has ended; it never rejects. */
  streaming?: Promise<void>;
};

const defaultBodyTimeoutMs = 10_000;
/** The routes that give work to the engine. */
const jobRoutes: Readonly<Record<string, (call: JobCall) => Promise<Answered>>> = {
  "/v1/infer": infer,
  "/v1/match": match,
  "/v1/embed": embed,
};
const healthRoutes = new Set(["/healthz", "/readyz"]);
const signedRoutes = ["/v1/catalog", "/v1/reload", "/metrics", ...Object.keys(jobRoutes)];
const knownRoutes = new Set([...healthRoutes, ...signedRoutes]);

export function createDoor(door: Door): Hono<{ Variables: { seen: Seen } }> {
  const {
    engine,
    verifier,
    metrics,
    log,
    tracing = noTracing,
    draining = () => false,
    bodyTimeoutMs = defaultBodyTimeoutMs,
    now = () => performance.now(),
    requestId = () => crypto.randomUUID(),
  } = door;
  const app = new Hono<{ Variables: { seen: Seen } }>();
  const readyNow = (): boolean => engine.state === "ready" && !draining();
  const refuseWhileDraining = (): void => {
    if (!draining()) return;
    throw new AppError("not_ready", "The node is shutting down.", { retryAfterS: 5 });
  };

  // Outermost: one log line and one count per request, whatever became of it.
  app.use(async (c, next) => {
    const seen: Seen = { startedAtMs: now(), body: new Uint8Array(), keyId: undefined };
    c.set("seen", seen);
    await next();
    c.header(protocolHeader, protocolVersion);
    // Who comes to a node that ends is to open its next connection to another one.
    if (draining()) c.header("connection", "close");
    const route = routeOf(c.req.path);
    if (healthRoutes.has(route) && seen.error === undefined) return;
    const { method } = c.req;
    const { status } = c.res;
    const conclude = (): void => {
      const endedAtMs = now();
      const tookMs = endedAtMs - seen.startedAtMs;
      const outcome = seen.error === undefined ? "ok" : toProblem(seen.error).code;
      metrics.request({ method, route, status, outcome, seconds: tookMs / 1000 });
      const ending: Ending = { method, route, status, outcome, endedAtMs };
      logRequest(log, seen, {
        request_id: requestId(),
        trace_id: isTraced(seen, route)
          ? tracing.request(tracedRequest(seen, ending))
          : seen.caller?.traceId,
        method,
        route,
        status,
        outcome,
        key_id: seen.keyId,
        duration_ms: round(tookMs),
        body_bytes: seen.body.length,
      });
    };
    if (seen.streaming === undefined) conclude();
    else void seen.streaming.then(conclude);
  });

  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", (c) =>
    readyNow() ? c.json({ status: "ready" }) : c.json({ status: "not ready" }, 503),
  );

  app.use(async (c, next) => {
    const { method, url, headers } = c.req.raw;
    const seen = c.get("seen");
    const { body, keyId } = await verifier.identify({ method, url, headers }, () =>
      readBody(c.req.raw, { maxBytes: maxFramedBytes(), timeoutMs: bodyTimeoutMs }),
    );
    seen.body = body;
    seen.keyId = keyId;
    seen.caller = parseTraceparent(headers.get(traceparentHeader));
    const version = headers.get(protocolHeader);
    if (version !== protocolVersion) {
      throw new AppError(
        "protocol_unsupported",
        `This node speaks version ${protocolVersion} of the protocol.`,
      );
    }
    await next();
  });

  app.get("/v1/catalog", (c) => {
    const catalog: Catalog = { models: [...engine.models] };
    return c.json(catalog);
  });

  app.get("/metrics", async (c) =>
    c.body(await metrics.render(), 200, { "content-type": metrics.contentType }),
  );

  app.post("/v1/reload", async (c) => {
    refuseWhileDraining();
    const catalog: Catalog = { models: [...(await engine.reload())] };
    return c.json(catalog);
  });

  for (const [path, route] of Object.entries(jobRoutes)) {
    app.post(path, async (c) => {
      refuseWhileDraining();
      if (engine.state !== "ready") {
        throw new AppError("not_ready", "The node is not ready; try again soon.", {
          retryAfterS: engine.retryAfterS(),
        });
      }
      const seen = c.get("seen");
      const left = new AbortController();
      const begun = Promise.withResolvers<EventStream>();
      let events: EventStream | undefined;
      const openEvents = (): EventStream =>
        (events ??= createEventStream({ onGone: (error) => left.abort(error) }));
      const answering = (async () => {
        const answered = await route({
          rooms: {
            models: () => engine.models,
            holds: (job) => engine.holds(job),
            dispatcher: {
              async run(job, ...rest) {
                seen.job = job;
                seen.admittedAtMs = now();
                const outcome = await door.dispatcher.run(job, ...rest);
                seen.doneAtMs = now();
                return outcome;
              },
            },
          },
          body: seen.body,
          contentType: c.req.header("content-type") ?? "",
          gone: AbortSignal.any([c.req.raw.signal, left.signal]),
          onText(index, text) {
            openEvents().text(index, text);
            begun.resolve(openEvents());
          },
        });
        seen.answered = answered;
        metrics.job(answered);
        return answered;
      })();
      // Before the first event a failure is an ordinary problem: it is thrown here.
      const first = await Promise.race([begun.promise, answering]);
      if ("response" in first && !first.streamed) {
        c.header("server-timing", serverTiming(first.times, now() - seen.startedAtMs));
        return c.body(JSON.stringify(first.response), 200, {
          "content-type": "application/json",
        });
      }
      const stream = openEvents();
      seen.streaming = endEvents(stream, answering, seen);
      return c.body(stream.body, 200, eventStreamHeaders);
    });
  }

  for (const path of signedRoutes) {
    app.all(path, () => {
      throw new AppError("method_not_allowed", "Another method is needed here.");
    });
  }
  app.notFound((c) => fail(c.get("seen"), new AppError("not_found", "There is nothing here.")));
  app.onError((error, c) => fail(c.get("seen"), error));
  return app;
}

/** Remembers the error for the log line and gives its problem. */
function fail(seen: Seen, error: unknown): Response {
  seen.error = error;
  return problemResponse(error);
}

/** Ends the stream with the answer, or with the problem that it came to. */
async function endEvents(
  stream: EventStream,
  answering: Promise<Answered>,
  seen: Seen,
): Promise<void> {
  try {
    const { response } = await answering;
    // Of the routes only /v1/infer streams.
    await stream.end({ event: "result", data: response as InferResponse });
  } catch (error) {
    seen.error = error;
    const known = error instanceof AppError ? error : new AppError("internal", "");
    await stream.end({ event: "problem", error: known });
  }
}

/** Unknown paths are one label: a caller must not be able to grow the metrics. */
const routeOf = (path: string): string => (knownRoutes.has(path) ? path : noRoute);

/** Who cannot sign leaves no span, and neither does whoever reads the metrics every few seconds. */
const isTraced = ({ keyId }: Seen, route: string): boolean =>
  keyId !== undefined && route !== "/metrics";

function logRequest(log: Log, seen: Seen, fields: Readonly<Record<string, unknown>>): void {
  const { answered, error } = seen;
  if (error !== undefined) {
    const known = error instanceof AppError;
    const internal = known ? error.internal : error instanceof Error ? error.stack : inspect(error);
    const { model, priority } = seen.job ?? {};
    const line = { ...fields, model, priority, detail: known ? error.detail : undefined, internal };
    if (known && error.code !== "internal") log.warn("request", line);
    else log.error("request", line);
    return;
  }
  log.info("request", {
    ...fields,
    ...(answered === undefined ? {} : jobFields(answered)),
  });
}
