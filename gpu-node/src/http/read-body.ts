// Reads a request body within bounds of size and time. The bound is checked against Content-Length
// before a byte is read, and again while reading, for bodies that do not say how long they are.
import { AppError } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";

export interface BodyLimits {
  readonly maxBytes: number;
  /** From the first read to the last byte. */
  readonly timeoutMs: number;
}

/** Errors: `body_too_large`, `request_timeout`, `canceled` when the client goes away. */
export async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? "0");
  const timeout = AbortSignal.timeout(limits.timeoutMs);
  const tooLarge = (): AppError =>
    new AppError("body_too_large", `The body may hold at most ${limits.maxBytes} bytes.`);
  if (declared > limits.maxBytes) throw tooLarge();
  const read = await readBounded(request.body, limits.maxBytes, timeout).catch((cause: unknown) => {
    if (!timeout.aborted) throw endedEarly(cause);
    const detail = `The body did not arrive within ${limits.timeoutMs} ms.`;
    throw new AppError("request_timeout", detail, { cause });
  });
  if (!read.ok) throw tooLarge();
  // A connection that breaks off may end the stream as if all had come: that would read as a forged body.
  if (read.bytes.length < declared || request.signal.aborted) throw endedEarly();
  return read.bytes;
}

const endedEarly = (cause?: unknown): AppError =>
  new AppError("canceled", "The body ended early.", cause === undefined ? {} : { cause });
