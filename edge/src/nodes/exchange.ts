// One signed HTTP exchange with a node: sends, reads the answer within bounds, turns a problem into an
// AppError that the public may see. What a node says about itself stays in the log.
import { AppError, fromProblem, toProblem, type ProblemCode } from "@blip2-edge/shared/problem";
import { eventStreamType } from "@blip2-edge/shared/sse";
import { readEvents } from "@blip2-edge/shared/wire/events";
import { protocolHeader, protocolVersion } from "@blip2-edge/shared/wire/protocol";
import { readBounded } from "@blip2-edge/shared/read-bounded";
import { traceparentHeader } from "@blip2-edge/shared/wire/traceparent";

/** `fetch`, or the `fetch` of a service binding. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface NodeRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly contentType: string | undefined;
  readonly body: Uint8Array | undefined;
  readonly traced?: TracedExchange | undefined;
}

/** What a trace tells the node of itself, and what it hears of the answer. */
export interface TracedExchange {
  readonly traceparent: string;
  answered(status: number, serverTiming: string | null): void;
}

/** The headers that prove who asks (RFC 9421); made anew for each attempt. */
export type SignRequest = (
  url: URL,
  request: NodeRequest,
  headers: Readonly<Record<string, string>>,
) => Promise<Record<string, string>>;

export interface ExchangeOptions {
  readonly nodeUrl: string;
  readonly fetch: Fetch;
  readonly sign: SignRequest;
  readonly maxAnswerBytes?: number;
}

/** The connection broke. Before a byte of answer, asking again is safe: inference has no side effect. */
export class ConnectionBroke extends Error {
  readonly answered: boolean;
  constructor(answered: boolean, cause: unknown) {
    super(answered ? "the node broke off its answer" : "the node cannot be reached", { cause });
    this.name = "ConnectionBroke";
    this.answered = answered;
  }
}

const defaultMaxAnswerBytes = 4 * 1024 * 1024;

/** A node's problem whose detail is about the caller's own text and may be shown. */
const shownCodes: ReadonlySet<ProblemCode> = new Set(["prompt_too_long"]);
/** Codes that keep their name; their words are replaced by ours. */
const translated: Partial<Record<ProblemCode, string>> = {
  overloaded: "Every node is busy. Try again after the time in Retry-After.",
  share_exceeded:
    "Too much of the work that waits has this one origin. Try again after the time in Retry-After.",
  deadline_exceeded: "The node did not answer in time. Ask for fewer tokens, or try again.",
  engine_restarted: "The node stopped during this request and starts again. Try again.",
  poison_request: "This request stops the model that should answer it. Change the request.",
  // These two are for the edge itself, which acts on them.
  pixels_required: "",
  revision_mismatch: "",
};
const maxShownCharacters = 500;
const defaultRetryAfterS = 2;

/** Hears a text while it is written: more of the one at `index` of the request's texts. */
export type OnText = (index: number, text: string) => void;

export type Exchange = (
  request: NodeRequest,
  signal: AbortSignal,
  onText?: OnText,
) => Promise<unknown>;

/** What the public may know of a node's refusal. */
function publicError(status: number, body: unknown): AppError {
  const problem = fromProblem(body);
  const internal = `node ${status} ${problem?.code ?? "without a problem document"}: ${problem?.detail ?? ""}`;
  if (problem === undefined) {
    // A tunnel or proxy in between answers for a node that is down.
    return status >= 500
      ? new NodeGone(internal)
      : new AppError("node_protocol", "The node's answer was not understood.", { internal });
  }
  if (shownCodes.has(problem.code)) {
    return new AppError(problem.code, problem.detail.slice(0, maxShownCharacters), { internal });
  }
  const words = translated[problem.code];
  if (words !== undefined) {
    const retryAfterS =
      problem.retryAfterS ?? (problem.kind.status === 503 ? defaultRetryAfterS : undefined);
    return new AppError(problem.code, words, {
      internal,
      ...(retryAfterS === undefined ? {} : { retryAfterS }),
    });
  }
  if (problem.code === "not_ready") return new NodeNotReady(internal, problem.retryAfterS);
  return new AppError("node_protocol", "The node did not accept the edge's request.", { internal });
}

const unavailableWords = "No node can answer now. Try again after the time in Retry-After.";

export function unavailable(
  internal: string,
  retryAfterS = defaultRetryAfterS,
  cause?: unknown,
): AppError {
  return new AppError("node_unavailable", unavailableWords, { internal, retryAfterS, cause });
}

/** Something in the node's place says that it is not there. */
export class NodeGone extends AppError {
  constructor(internal: string) {
    super("node_unavailable", unavailableWords, { internal, retryAfterS: defaultRetryAfterS });
  }
}

/** It is there and loads, or is about to end. */
export class NodeNotReady extends AppError {
  constructor(internal: string, retryAfterS = defaultRetryAfterS) {
    super("node_unavailable", unavailableWords, { internal, retryAfterS });
  }
}

/** Resolves with the parsed JSON of a 2xx answer. Throws AppError or ConnectionBroke. */
export function nodeExchange(options: ExchangeOptions): Exchange {
  const { nodeUrl, sign, maxAnswerBytes = defaultMaxAnswerBytes } = options;
  return async (request, signal, onText) => {
    signal.throwIfAborted();
    const url = new URL(request.path, nodeUrl);
    const plain: Record<string, string> = {
      accept: onText === undefined ? "application/json" : `application/json, ${eventStreamType}`,
      [protocolHeader]: protocolVersion,
      ...(request.contentType === undefined ? {} : { "content-type": request.contentType }),
      ...(request.traced === undefined ? {} : { [traceparentHeader]: request.traced.traceparent }),
    };
    const headers = { ...plain, ...(await sign(url, request, plain)) };
    let response: Response;
    try {
      response = await options.fetch(url.href, {
        method: request.method,
        headers,
        redirect: "manual",
        signal,
        ...(request.body === undefined ? {} : { body: request.body }),
      });
    } catch (error) {
      signal.throwIfAborted();
      throw new ConnectionBroke(false, error);
    }
    request.traced?.answered(response.status, response.headers.get("server-timing"));
    if (response.ok && response.headers.get(protocolHeader) !== protocolVersion) {
      await response.body?.cancel();
      throw new AppError("node_protocol", "The node's answer was not understood.", {
        internal: `protocol version ${response.headers.get(protocolHeader) ?? "missing"}`,
      });
    }
    if (onText !== undefined && response.ok && response.body !== null && isEventStream(response)) {
      return readStreamed(response.body, maxAnswerBytes, signal, onText);
    }
    let text: string;
    try {
      const read = await readBounded(response.body, maxAnswerBytes, signal);
      if (!read.ok) throw new AppError("node_protocol", "The node's answer was too long.");
      text = new TextDecoder().decode(read.bytes);
    } catch (error) {
      if (error instanceof AppError) throw error;
      signal.throwIfAborted();
      throw new ConnectionBroke(true, error);
    }
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      // A connection that ends early may look like the end of the body: half a document.
      if (response.ok) throw new ConnectionBroke(true, new Error("the answer is not whole JSON"));
    }
    if (!response.ok) throw publicError(response.status, body);
    return body;
  };
}

const isEventStream = ({ headers }: Response): boolean =>
  (headers.get("content-type") ?? "").startsWith(eventStreamType);

/** The result of a streamed answer. Its failures after a text are final: what was said cannot be unsaid. */
async function readStreamed(
  body: ReadableStream<Uint8Array>,
  maxCharacters: number,
  signal: AbortSignal,
  onText: OnText,
): Promise<unknown> {
  let characters = 0;
  try {
    // Through a pipe, which the signal breaks even while the node says nothing.
    for await (const event of readEvents(body.pipeThrough(new TransformStream(), { signal }))) {
      if (event.event === "result") return event.data;
      if (event.event === "problem") throw publicErrorOf(event.error);
      characters += event.data.text.length;
      if (characters > maxCharacters) {
        throw new AppError("node_protocol", "The node's answer was too long.");
      }
      onText(event.data.index, event.data.text);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AppError) throw error;
    throw new ConnectionBroke(true, error);
  }
  throw new ConnectionBroke(true, new Error("the events end without a result"));
}

/** A stream has begun, so a wish to be asked again comes too late. */
function publicErrorOf(error: AppError): AppError {
  if (error.code !== "pixels_required" && error.code !== "revision_mismatch") {
    return publicError(error.kind.status, toProblem(error));
  }
  return new AppError("node_protocol", "The node's answer was not understood.", {
    internal: `${error.code} in a stream`,
  });
}
