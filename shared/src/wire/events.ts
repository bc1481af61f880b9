// The answer to POST /v1/infer with `stream: true`: server-sent events (the WHATWG format of
// text/event-stream). Any number of `text`, then one `result` or one `problem`, which ends the stream.
// A failure before the first event is no stream but an ordinary problem with its status.
import { z } from "zod";
import { AppError, fromProblem, type Problem, toProblem } from "../problem.ts";
import { type InferResponse, inferResponseSchema } from "./protocol.ts";

export const eventStreamType = "text/event-stream";
/** A comment, which keeps a connection alive on which nothing happens. */
export const heartbeat = ": heartbeat\n\n";

/** More of the text at `index` of the request's texts: whole characters, in order. */
export const textEventSchema = z.object({ index: z.int().min(0), text: z.string() });
export type TextEvent = z.infer<typeof textEventSchema>;

export type InferEvent =
  | { readonly event: "text"; readonly data: TextEvent }
  | { readonly event: "result"; readonly data: InferResponse }
  | { readonly event: "problem"; readonly error: AppError };

/** An answer holds at most 4 MiB; an event that is longer is none of ours. */
const maxEventCharacters = 4 * 1024 * 1024;

/** One event as it travels. JSON has no raw line feed, so its data is one line. */
export function writeEvent(event: InferEvent): string {
  const data: TextEvent | InferResponse | Problem =
    event.event === "problem" ? toProblem(event.error) : event.data;
  return `event: ${event.event}\ndata: ${JSON.stringify(data)}\n\n`;
}

const misunderstood = (internal: string, cause?: unknown): AppError =>
  new AppError("node_protocol", "The node's answer was not understood.", { internal, cause });

/**
 * Reads the stream up to its `result` or `problem`. Events of other names are passed over: a younger node
 * may say more. Leaving the loop cancels the stream.
 * Errors: `node_protocol` for what is malformed, too long or ends too early; the stream's own.
 */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<InferEvent> {
  const reader = body.getReader();
  const parser = createParser();
  let whole = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        whole = true;
        throw misunderstood("the events end without a result");
      }
      for (const event of parser.push(value)) {
        yield event;
        if (event.event !== "text") return;
      }
    }
  } finally {
    if (!whole) await reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}

/** Chunks may end anywhere, in the middle of a character or of a line's end too. */
function createParser() {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = "";
  let name = "";
  let data: string[] = [];
  let size = 0;
  let afterReturn = false;

  const endLine = (): InferEvent | undefined => {
    const ended = line;
    line = "";
    if (ended === "") {
      const event = data.length === 0 ? undefined : readEvent(name, data.join("\n"));
      name = "";
      data = [];
      size = 0;
      return event;
    }
    const colon = ended.indexOf(":");
    const field = colon === -1 ? ended : ended.slice(0, colon);
    const value = colon === -1 ? "" : ended.slice(colon + 1).replace(/^ /, "");
    if (field === "event") name = value;
    else if (field === "data") data.push(value);
    // A line that begins with a colon is a comment: its field has no name.
    return undefined;
  };

  return {
    *push(chunk: Uint8Array): Generator<InferEvent> {
      let text: string;
      try {
        text = decoder.decode(chunk, { stream: true });
      } catch (cause) {
        throw misunderstood("the events are not UTF-8", cause);
      }
      // CR, LF and CR LF all end a line; the LF of a pair may come with the next chunk.
      for (const part of text.split(/(\r\n|\r|\n)/)) {
        if (part === "") continue;
        const isEnd = part === "\n" || part === "\r" || part === "\r\n";
        const isSecondHalf = afterReturn && part === "\n";
        afterReturn = part === "\r";
        if (isSecondHalf) continue;
        size += part.length;
        if (size > maxEventCharacters) throw misunderstood("an event is too long");
        if (!isEnd) {
          line += part;
          continue;
        }
        const event = endLine();
        if (event !== undefined) yield event;
      }
    },
  };
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
