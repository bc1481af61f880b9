// An answer that takes its time becomes a stream of events, because a caller that leaves is noticed only when
// something is written to it. One that is there at once stays what it is, with its own status.

export interface StreamLateOptions {
  readonly afterMs: number;
  /** Between two comments. */
  readonly beatMs: number;
  /** The caller went away before the answer was there. */
  readonly onLeft: () => void;
}

const eventStream = "text/event-stream";

export async function streamLate(
  answering: Promise<Response>,
  { afterMs, beatMs, onLeft }: StreamLateOptions,
): Promise<Response> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), afterMs);
  const early = await Promise.race([answering, late.promise]).finally(() => clearTimeout(timer));
  if (early !== undefined) return early;

  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  void writeOut(answering, writable, beatMs).catch(onLeft);
  const headers = { "content-type": eventStream, "cache-control": "no-cache, no-transform" };
  return new Response(readable, { headers });
}

/** Rejects when nobody reads any more. */
async function writeOut(
  answering: Promise<Response>,
  writable: WritableStream<Uint8Array>,
  beatMs: number,
): Promise<void> {
  const writer = writable.getWriter();
  const write = (text: string): Promise<void> => writer.write(new TextEncoder().encode(text));
  const left = Promise.withResolvers<never>();
  writer.closed.catch(left.reject);
  const tell = (words: string): void => void write(`: ${words}\n\n`).catch(left.reject);
  const beat = setInterval(() => tell("still at it"), beatMs);
  tell("at it");
  try {
    const response = await Promise.race([answering, left.promise]);
    clearInterval(beat);
    const isStream = response.headers.get("content-type")?.startsWith(eventStream) === true;
    if (!isStream || response.body === null) {
      const text = await response.text();
      if (text !== "") await write(`event: message\ndata: ${text}\n\n`);
      return await writer.close();
    }
    writer.releaseLock();
    await response.body.pipeTo(writable);
  } catch (error) {
    // It may wait for a write that nobody reads.
    void writer.abort(error).catch(() => {});
    throw error;
  } finally {
    clearInterval(beat);
  }
}
