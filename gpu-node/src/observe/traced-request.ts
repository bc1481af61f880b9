// What a trace is told of a request, once it is answered: plain facts with no text, no id of a picture and no
// key among them, so that none can leave the node this way. tracing.ts makes spans of it.
import type { ProblemCode } from "@blip2-edge/shared/problem";
import type { JobDetail } from "../engine/engine-activity.ts";
import type { Priority } from "../engine/messages.ts";
import type { StageTime } from "./stage-times.ts";
import type { TraceParent } from "@blip2-edge/shared/wire/traceparent";

export interface TracedJob {
  readonly kind: "generate" | "match" | "embed";
  readonly model: string;
  readonly modelRevision: string;
  readonly priority: Priority;
  /** The rest is known of a job that was done. */
  readonly items?: number;
  readonly visionPasses?: number;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly finishReasons?: readonly string[];
  readonly detail?: JobDetail;
}

/** Times are the door's clock, in milliseconds. */
export interface TracedRequest {
  readonly caller: TraceParent | undefined;
  readonly method: string;
  /** A pattern, never a path as it came; undefined for what is no route. */
  readonly route: string | undefined;
  readonly status: number;
  readonly outcome: "ok" | ProblemCode;
  readonly bodyBytes: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly firstTokenAtMs?: number;
  readonly job?: TracedJob;
  readonly stages: readonly StageTime[];
}

export interface Tracing {
  /** Never throws and never waits. Gives the id of the trace that the request is in, sampled or not. */
  request(answered: TracedRequest): string | undefined;
  /** Sends what is left, for as long as that may take. */
  stop(): Promise<void>;
}

/** Of a node that has no collector: the caller's trace is named in the log and nothing else is done. */
export const noTracing: Tracing = {
  request: ({ caller }) => caller?.traceId,
  stop: () => Promise.resolve(),
};
