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
  if (declared <= limits.maxBytes) {
    try {
      const read = await readBounded(request.body, limits.maxBytes, timeout);
      if (read.ok) return read.bytes;
    } catch (cause) {
      if (timeout.aborted) {
        const detail = `The body did not arrive within ${limits.timeoutMs} ms.`;
        throw new AppError("request_timeout", detail, { cause });
      }
      throw new AppError("canceled", "The body ended early.", { cause });
    }
  }
  throw new AppError("body_too_large", `The body may hold at most ${limits.maxBytes} bytes.`);
}
