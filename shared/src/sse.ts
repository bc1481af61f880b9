// Server-sent events as they travel (the WHATWG format of text/event-stream): one event in, its text out,
// and back. What the events mean is said elsewhere: wire/events.ts for nodes, contracts/stream.ts for callers.

export const eventStreamType = "text/event-stream";

export interface ServerSentEvent {
  /** Empty where the sender names none. */
  readonly name: string;
  readonly data: string;
}

/** An answer holds at most 4 MiB; an event that is longer is none of ours. */
const maxEventCharacters = 4 * 1024 * 1024;

/** What is not such a stream, or not whole. */
export class BrokenEvents extends Error {}

/** JSON has no raw line feed, so its data is one line. */
export function writeServerSentEvent(name: string, json: unknown): string {
  return `${name === "" ? "" : `event: ${name}\n`}data: ${JSON.stringify(json)}\n\n`;
}

/**
 * Reads to the end of the stream; an event that is not ended by an empty line is none. Leaving the loop
 * cancels the stream. Throws BrokenEvents for what is malformed or too long, and the stream's own errors.
 */
export async function* readServerSentEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<ServerSentEvent> {
  const reader = body.getReader();
  const parser = createParser();
  let whole = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        whole = true;
        return;
      }
      yield* parser.push(value);
    }
  } finally {
    // Whoever leaves does not wait for the other side to hear of it.
    if (!whole) void reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}

/** Chunks may end anywhere, in the middle of a character or of a line's end too. */
function createParser() {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let line = "";
  let name = "";
  let data: string[] = [];
  let size = 0;
  let afterReturn = false;

  const endLine = (): ServerSentEvent | undefined => {
    const ended = line;
    line = "";
    if (ended === "") {
      const event = data.length === 0 ? undefined : { name, data: data.join("\n") };
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
    *push(chunk: Uint8Array): Generator<ServerSentEvent> {
      let text: string;
      try {
        text = decoder.decode(chunk, { stream: true });
      } catch (cause) {
        throw new BrokenEvents("the events are not UTF-8", { cause });
      }
      // CR, LF and CR LF all end a line; the LF of a pair may come with the next chunk.
      for (const part of text.split(/(\r\n|\r|\n)/)) {
        if (part === "") continue;
        const isEnd = part === "\n" || part === "\r" || part === "\r\n";
        const isSecondHalf = afterReturn && part === "\n";
        afterReturn = part === "\r";
        if (isSecondHalf) continue;
        size += part.length;
        if (size > maxEventCharacters) throw new BrokenEvents("an event is too long");
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
