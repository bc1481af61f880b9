// Reads a request body within bounds of size and time. The bound is checked against Content-Length
// before a byte is read, and again while reading, for bodies that do not say how long they are.
import { AppError } from "@blip2-edge/shared/problem";

export interface BodyLimits {
  readonly maxBytes: number;
  /** From the first read to the last byte. */
  readonly timeoutMs: number;
}

/** Errors: `body_too_large`, `request_timeout`, `canceled` when the client goes away. */
export async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const tooLarge = (): AppError =>
    new AppError("body_too_large", `The body may hold at most ${limits.maxBytes} bytes.`);
  const declared = Number(request.headers.get("content-length") ?? "0");
  if (declared > limits.maxBytes) throw tooLarge();
  if (request.body === null) return new Uint8Array();

  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new AppError("request_timeout", `The body did not arrive within ${limits.timeoutMs} ms.`),
      );
    }, limits.timeoutMs);
  });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), timeout]);
      if (done) break;
      bytes += value.length;
      if (bytes > limits.maxBytes) throw tooLarge();
      chunks.push(value);
    }
  } catch (error) {
    // Not awaited: a client that stalls would stall this too.
    reader.cancel(error).catch(() => {});
    if (error instanceof AppError) throw error;
    throw new AppError("canceled", "The body ended early.", { cause: error });
  } finally {
    clearTimeout(timer);
  }
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return only;
  const body = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
