// How one answered request is told: as a trace's facts, as fields of its log line, as its Server-Timing header.
// What is told is named here field by field.
import type { ProblemCode } from "@blip2-edge/shared/problem";
import type { Job } from "../engine/messages.ts";
import { stageTimes } from "../observe/stage-times.ts";
import type { TracedJob, TracedRequest } from "../observe/traced-request.ts";
import type { TraceParent } from "@blip2-edge/shared/wire/traceparent";
import type { Answered } from "./job-route.ts";

/** What is known of a request when it is answered. Times are the door's clock. */
export interface ReportedRequest {
  readonly startedAtMs: number;
  /** Verified body bytes. */
  readonly body: Uint8Array;
  /** Of a request whose signature is valid. */
  readonly caller?: TraceParent | undefined;
  /** The job that was handed to admission, when it was, and when its outcome was there. */
  readonly job?: Job;
  readonly admittedAtMs?: number;
  readonly doneAtMs?: number;
  readonly answered?: Answered;
}

export interface Ending {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly outcome: "ok" | ProblemCode;
  readonly endedAtMs: number;
}

/** The label of all paths that are no route. */
export const noRoute = "other";

export const round = (milliseconds: number): number => Math.round(milliseconds * 10) / 10;

export function tracedRequest(request: ReportedRequest, ending: Ending): TracedRequest {
  const { startedAtMs, caller, body, job, admittedAtMs, doneAtMs, answered } = request;
  const { method, route, status, outcome, endedAtMs } = ending;
  const firstTokenMs = answered?.generation?.firstTokenMs;
  return {
    caller,
    method,
    route: route === noRoute ? undefined : route,
    status,
    outcome,
    bodyBytes: body.length,
    startMs: startedAtMs,
    endMs: endedAtMs,
    ...(firstTokenMs === undefined || admittedAtMs === undefined
      ? {}
      : { firstTokenAtMs: Math.min(admittedAtMs + firstTokenMs, endedAtMs) }),
    ...(job === undefined ? {} : { job: tracedJob(job, answered) }),
    stages:
      answered === undefined || admittedAtMs === undefined
        ? []
        : stageTimes({
            admittedAtMs,
            doneAtMs: doneAtMs ?? endedAtMs,
            queueMs: answered.times.queueMs,
            stages: answered.times.stages,
            ...(answered.times.detail?.timeline === undefined
              ? {}
              : { timeline: answered.times.detail.timeline }),
          }),
  };
}

function tracedJob(job: Job, answered: Answered | undefined): TracedJob {
  const { kind, model, modelRevision, priority } = job;
  const { generation, visionPasses } = answered ?? {};
  return {
    kind: kind === "generate" || kind === "match" ? kind : "embed",
    model,
    modelRevision,
    priority,
    ...(answered === undefined ? {} : { items: answered.items }),
    ...(visionPasses === undefined ? {} : { visionPasses }),
    ...(answered?.times.detail === undefined ? {} : { detail: answered.times.detail }),
    ...(generation === undefined
      ? {}
      : {
          inputTokens: generation.inputTokens,
          outputTokens: answered?.tokens ?? 0,
          finishReasons: generation.finishReasons,
        }),
  };
}

/** Of a job that was done. */
export function jobFields(answered: Answered): Readonly<Record<string, unknown>> {
  const { model, priority, kind, items, tokens, visionPasses, times, generation } = answered;
  const { detail } = times;
  return {
    model,
    priority,
    [kind === "embed" ? "embeddings" : "texts"]: items,
    vision_passes: visionPasses,
    ...(generation === undefined
      ? {}
      : {
          tokens,
          first_token_ms: round(generation.firstTokenMs),
          ...(generation.perOutputTokenMs === undefined
            ? {}
            : { per_token_ms: round(generation.perOutputTokenMs) }),
        }),
    vision_images: detail?.visionImages,
    decode_runs: detail?.decodeRuns,
    decode_steps: detail?.decodeSteps,
    ...(detail?.meanRows === undefined ? {} : { mean_rows: round(detail.meanRows) }),
    queue_ms: round(times.queueMs),
    ...Object.fromEntries(
      Object.entries(times.stages).map(([stage, tookMs]) => [`${stage}_ms`, round(tookMs)]),
    ),
  };
}

/** `totalMs`: from the request's head to here. */
export const serverTiming = (
  { queueMs, stages }: Pick<Answered["times"], "queueMs" | "stages">,
  totalMs: number,
): string =>
  Object.entries({ queue: queueMs, ...stages, total: totalMs })
    .map(([stage, tookMs]) => `${stage};dur=${round(tookMs)}`)
    .join(", ");
