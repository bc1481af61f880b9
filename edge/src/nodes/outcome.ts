// What an attempt's end says of its node: its own fault, the request's, or nothing.
import { AppError, type ProblemCode } from "@blip2-edge/shared/problem";
import { ConnectionBroke, NodeGone, NodeNotReady } from "./exchange.ts";
import type { CallOutcome } from "./node-health.ts";

const defaultRestMs = 1000;
/** The node is well, and its answer is about the request, or about what it holds. */
const aboutTheRequest: ReadonlySet<ProblemCode> = new Set([
  "pixels_required",
  "image_pixels_gone",
  "revision_mismatch",
  "prompt_too_long",
  "poison_request",
  "share_exceeded",
]);

/** `error`: undefined when it answered. `signal`: of the request as a whole. */
export function outcomeOf(error: unknown, signal: AbortSignal): CallOutcome {
  if (error === undefined) return { kind: "ok" };
  const { reason } = signal as { readonly reason: unknown };
  if (signal.aborted) {
    const late = reason instanceof AppError && reason.code === "deadline_exceeded";
    return { kind: late ? "timed_out" : "abandoned" };
  }
  if (error instanceof ConnectionBroke || error instanceof NodeGone) return { kind: "broken" };
  if (!(error instanceof AppError)) return { kind: "abandoned" };
  if (error instanceof NodeNotReady || error.code === "overloaded") {
    const { retryAfterS } = error;
    return { kind: "busy", restMs: retryAfterS === undefined ? defaultRestMs : retryAfterS * 1000 };
  }
  if (error.code === "deadline_exceeded") return { kind: "timed_out" };
  return { kind: aboutTheRequest.has(error.code) ? "answered" : "fault" };
}
