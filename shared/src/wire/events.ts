// The answer to POST /v1/infer with `stream: true`: server-sent events. Any number of `text`, then one
// `result` or one `problem`, which ends the stream. A failure before the first event is no stream but an
// ordinary problem with its status.
import { type TextEvent, textEventSchema } from "../contracts/stream.ts";
import { AppError, fromProblem, type Problem, toProblem } from "../problem.ts";
import { BrokenEvents, readServerSentEvents, writeServerSentEvent } from "../sse.ts";
import { type InferResponse, inferResponseSchema } from "./protocol.ts";

/** A comment, which keeps a connection alive on which nothing happens. */
export const heartbeat = ": heartbeat\n\n";

/** The index of a `text` event is that of the request's texts. */
export type InferEvent =
  | { readonly event: "text"; readonly data: TextEvent }
  | { readonly event: "result"; readonly data: InferResponse }
  | { readonly event: "problem"; readonly error: AppError };

/** One event as it travels. */
export function writeEvent(event: InferEvent): string {
  const data: TextEvent | InferResponse | Problem =
    event.event === "problem" ? toProblem(event.error) : event.data;
  return writeServerSentEvent(event.event, data);
}

const misunderstood = (internal: string, cause?: unknown): AppError =>
  new AppError("node_protocol", "The node's answer was not understood.", { internal, cause });

/**
 * Reads the stream up to its `result` or `problem`. Events of other names are passed over: a younger node
 * may say more. Leaving the loop cancels the stream.
 * Errors: `node_protocol` for what is malformed, too long or ends too early; the stream's own.
 */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<InferEvent> {
  try {
    for await (const { name, data } of readServerSentEvents(body)) {
      const event = readEvent(name, data);
      if (event === undefined) continue;
      yield event;
      if (event.event !== "text") return;
    }
  } catch (error) {
    if (error instanceof BrokenEvents) throw misunderstood(error.message, error.cause);
    throw error;
  }
  throw misunderstood("the events end without a result");
}

function readEvent(name: string, data: string): InferEvent | undefined {
  if (name !== "text" && name !== "result" && name !== "problem") return undefined;
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch (cause) {
    throw misunderstood(`the data of a ${name} event is not JSON`, cause);
  }
  if (name === "problem") {
    const error = fromProblem(json);
    if (error === undefined) throw misunderstood("a problem event without a known problem");
    return { event: "problem", error };
  }
  if (name === "text") {
    const parsed = textEventSchema.safeParse(json);
    if (!parsed.success) throw misunderstood(parsed.error.message);
    return { event: "text", data: parsed.data };
  }
  const parsed = inferResponseSchema.safeParse(json);
  if (!parsed.success) throw misunderstood(parsed.error.message);
  return { event: "result", data: parsed.data };
}
