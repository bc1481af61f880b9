// The problems that groups of routes have in common, for the rows of the table of the API.
import type { ProblemCode } from "../problem.ts";

export const keyProblems = ["unauthorized", "forbidden", "rate_limited"] as const;
/** Of the header Idempotency-Key. */
export const onceProblems = ["idempotency_key_reused", "idempotency_in_progress"] as const;
/** Of what is counted where a node is asked. */
export const quotaProblems = [
  "quota_exceeded",
  "concurrency_exceeded",
  "meter_unavailable",
] as const;
export const bodyProblems = [
  "invalid_request",
  "body_too_large",
  "request_timeout",
  "unsupported_media_type",
] as const;
export const imageProblems = [
  "image_required",
  "image_ambiguous",
  "image_not_recognised",
  "image_type_unsupported",
  "image_corrupt",
  "image_too_large",
  "body_too_large",
] as const;
const storedImageProblems = ["image_not_found", "image_pixels_gone"] as const;
export const fetchProblems = [
  "url_refused",
  "fetch_failed",
  "fetch_timeout",
  "fetch_too_large",
] as const;
export const modelProblems = ["model_not_found", "prompt_too_long"] as const;
export const nodeProblems = [
  "node_unavailable",
  "node_protocol",
  "overloaded",
  "share_exceeded",
  "deadline_exceeded",
  "engine_restarted",
  "poison_request",
  "not_ready",
] as const;

export const distinct = (
  ...groups: readonly (readonly ProblemCode[])[]
): readonly ProblemCode[] => [...new Set(groups.flat())];
export const inferenceProblems = distinct(
  keyProblems,
  quotaProblems,
  bodyProblems,
  imageProblems,
  storedImageProblems,
  fetchProblems,
  modelProblems,
  nodeProblems,
  ["canceled"],
);
