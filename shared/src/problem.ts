// The one table of everything that can go wrong, and the error that carries a row of it.
// Every door (Worker, node, MCP, command line) turns an AppError into RFC 9457 problem+json with
// `toProblem`, and nothing else: `detail` is for the caller, `internal` and `cause` for the log.

/** One kind of failure: HTTP status, a title that never changes, whether the same call may succeed later. */
export interface ProblemKind {
  readonly status: number;
  readonly title: string;
  readonly retryable: boolean;
}

const kind = (status: number, title: string, retryable = false): ProblemKind => ({
  status,
  title,
  retryable,
});

export const problemKinds = {
  // The caller and the request
  unauthorized: kind(401, "A valid API key is required"),
  forbidden: kind(403, "The key may not do this"),
  not_found: kind(404, "No such resource"),
  method_not_allowed: kind(405, "The method is not allowed here"),
  invalid_request: kind(400, "The request is not valid"),
  body_too_large: kind(413, "The request body is too large"),
  request_timeout: kind(408, "The request body arrived too slowly"),
  unsupported_media_type: kind(415, "The content type is not supported"),
  model_not_found: kind(404, "No such model"),
  prompt_too_long: kind(400, "The text does not fit the model's context"),
  rate_limited: kind(429, "The key sends requests too fast", true),
  quota_exceeded: kind(429, "The key's quota is used up", true),
  concurrency_exceeded: kind(429, "The key has too many requests in flight", true),
  meter_unavailable: kind(503, "The key's quota cannot be read now", true),
  identity_unavailable: kind(503, "Who you are cannot be checked now", true),
  // Jobs, and requests that may be repeated
  too_many_jobs: kind(429, "The tenant has too many jobs that are not over", true),
  idempotency_key_reused: kind(422, "The Idempotency-Key belongs to another request"),
  idempotency_in_progress: kind(409, "The first request with this Idempotency-Key goes on", true),
  // The picture
  image_required: kind(400, "An image is required"),
  image_ambiguous: kind(400, "More than one image was given"),
  image_not_recognised: kind(415, "The data is not an image that is supported"),
  image_type_unsupported: kind(415, "This image type is not supported"),
  image_corrupt: kind(422, "The image cannot be decoded"),
  image_too_large: kind(413, "The image has too many pixels"),
  image_not_found: kind(404, "No such image"),
  link_invalid: kind(403, "The signed link is not valid"),
  image_pixels_gone: kind(410, "The pixels of this image are no longer stored"),
  // Search
  index_outdated: kind(409, "The namespace was indexed with another model or revision"),
  index_full: kind(507, "The namespace holds as many images as it may"),
  candidates_unavailable: kind(503, "The store of candidates cannot be asked now", true),
  // Connections
  backfill_open: kind(409, "The connection has a backfill that is not over"),
  backfill_over: kind(409, "The backfill is over"),
  suggestion_closed: kind(409, "The suggestion is decided already"),
  words_changed: kind(409, "The picture's words were changed meanwhile"),
  cms_failed: kind(502, "The CMS did not do it", true),
  // Fetching it
  url_refused: kind(400, "The URL may not be fetched"),
  fetch_failed: kind(502, "The image could not be fetched"),
  fetch_timeout: kind(504, "The image did not arrive in time", true),
  fetch_too_large: kind(413, "The file behind the URL is too large"),
  // Nodes
  node_unavailable: kind(503, "No node can answer now", true),
  node_protocol: kind(502, "The node gave an answer that was not understood", true),
  overloaded: kind(503, "All capacity is in use", true),
  share_exceeded: kind(429, "Too much work of one origin is waiting", true),
  deadline_exceeded: kind(504, "The answer was not ready in time", true),
  engine_restarted: kind(503, "The inference engine stopped during the request", true),
  poison_request: kind(422, "The inference engine stopped during this request repeatedly"),
  not_ready: kind(503, "The node is not ready yet", true),
  pixels_required: kind(428, "The node does not hold this image's pixels", true),
  revision_mismatch: kind(409, "The node holds another revision of this model", true),
  signature_invalid: kind(401, "The request's signature is not valid"),
  protocol_unsupported: kind(400, "The protocol version is not supported"),
  registry_unavailable: kind(503, "The registry of nodes cannot be reached now", true),
  canceled: kind(499, "The caller went away"),
  // Clients of the API
  api_unreachable: kind(503, "The API cannot be reached", true),
  api_unexpected: kind(502, "The API gave an answer that was not understood", true),
  // Checkpoints and artifacts (command line; never sent to the world)
  checkpoint_invalid: kind(422, "The checkpoint cannot be used"),
  artifact_invalid: kind(422, "The artifact cannot be used"),
  dataset_invalid: kind(422, "The evaluation data cannot be used"),
  hub_refused: kind(403, "The hub does not give these files"),
  hub_unavailable: kind(503, "The hub cannot be reached", true),
  hub_mismatch: kind(502, "The hub sent something else than it announced", true),
  usage: kind(400, "Wrong usage"),
  internal: kind(500, "Something went wrong inside", true),
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof problemKinds;

/** RFC 9457 problem details as they travel. `errors` lists every fault of an invalid request. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail?: string;
  readonly retryable: boolean;
  readonly retry_after_s?: number;
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
}

export interface AppErrorOptions {
  /** For the log only; may name hosts, paths, addresses. */
  readonly internal?: string;
  readonly cause?: unknown;
  readonly retryAfterS?: number;
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
}

/** A failure from the table. `detail` is shown to the caller: say what was wrong and what to do. */
export class AppError extends Error {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly internal: string | undefined;
  readonly retryAfterS: number | undefined;
  readonly errors: readonly { readonly field: string; readonly message: string }[] | undefined;

  constructor(code: ProblemCode, detail: string, options: AppErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.detail = detail;
    this.internal = options.internal;
    this.retryAfterS = options.retryAfterS;
    this.errors = options.errors;
  }

  get kind(): ProblemKind {
    return problemKinds[this.code];
  }
}

/** Seconds after which the same call is worth another attempt; undefined: none that anybody knows of. */
export function retryAfterOf({ kind, code, retryAfterS }: AppError): number | undefined {
  if (!kind.retryable) return undefined;
  // A quota that says no time can never hold the call.
  return retryAfterS ?? (code === "quota_exceeded" ? undefined : 0);
}

/** The problem document of any error; what is not an AppError becomes a mute `internal`. */
export function toProblem(error: unknown): Problem {
  const known = error instanceof AppError ? error : new AppError("internal", "");
  const { status, title, retryable } = known.kind;
  return {
    type: `urn:blip2-edge:problem:${known.code}`,
    title,
    status,
    code: known.code,
    ...(known.detail === "" ? {} : { detail: known.detail }),
    retryable,
    ...(known.retryAfterS === undefined ? {} : { retry_after_s: known.retryAfterS }),
    ...(known.errors === undefined ? {} : { errors: known.errors }),
  };
}

/**
 * The HTTP form of a problem (RFC 9457 section 3), with Retry-After where waiting helps. `extension` gives
 * members beyond those of every problem (section 3.2).
 */
export function problemResponse(
  error: unknown,
  headers: Record<string, string> = {},
  extension: (problem: Problem) => Readonly<Record<string, unknown>> = () => ({}),
): Response {
  const problem = toProblem(error);
  return new Response(`${JSON.stringify({ ...problem, ...extension(problem) })}\n`, {
    status: problem.status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      ...(problem.retry_after_s === undefined
        ? {}
        : { "retry-after": String(problem.retry_after_s) }),
      ...headers,
    },
  });
}

const isProblemCode = (value: unknown): value is ProblemCode =>
  typeof value === "string" && Object.hasOwn(problemKinds, value);

/** Undefined: there is no such problem. */
export const problemTitle = (code: string): string | undefined =>
  isProblemCode(code) ? problemKinds[code].title : undefined;

/** Reads a problem+json body back into an AppError; undefined when it is not one of ours. */
export function fromProblem(body: unknown): AppError | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const { code, detail, retry_after_s: retryAfterS, errors } = body as Record<string, unknown>;
  if (!isProblemCode(code)) return undefined;
  const faults = Array.isArray(errors) ? errors.filter(isFault) : [];
  return new AppError(code, typeof detail === "string" ? detail : problemKinds[code].title, {
    ...(typeof retryAfterS === "number" ? { retryAfterS } : {}),
    ...(faults.length === 0 ? {} : { errors: faults }),
  });
}

function isFault(value: unknown): value is { field: string; message: string } {
  if (typeof value !== "object" || value === null) return false;
  const { field, message } = value as Record<string, unknown>;
  return typeof field === "string" && typeof message === "string";
}
