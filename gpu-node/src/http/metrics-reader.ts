// A node's metrics for whoever cannot sign, such as Prometheus: each GET /metrics here is one signed GET
// /metrics there. Nothing else of the node can be reached through it, and nothing is kept between two reads.
import { AppError, problemResponse } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";
import { createSigner, type SigningKeys } from "@blip2-edge/shared/wire/signature";

export interface MetricsReaderOptions {
  /** Base address of the node. */
  readonly nodeUrl: string;
  /** The first key signs. */
  readonly keys: SigningKeys;
  /** Shorter than a scraper waits by default, which is ten seconds. */
  readonly timeoutMs?: number;
  readonly fetch?: typeof globalThis.fetch;
  readonly now?: () => number;
}

export interface MetricsText {
  readonly text: string;
  readonly contentType: string;
}

export interface MetricsReader {
  /** Errors: `node_unavailable`, `signature_invalid`, `node_protocol`. */
  read(): Promise<MetricsText>;
  /** The door for a scraper: GET /metrics, and GET /healthz for whoever watches this process. */
  answer(request: Request): Promise<Response>;
}

/** A node of a hundred models is far below it. */
const maxMetricsBytes = 4 * 1024 * 1024;

export function createMetricsReader(options: MetricsReaderOptions): MetricsReader {
  const { nodeUrl, keys, timeoutMs = 8000 } = options;
  const { fetch = globalThis.fetch, now = Date.now } = options;
  const target = new URL("/metrics", nodeUrl).href;
  const signer = createSigner({ keys, now });

  async function read(): Promise<MetricsText> {
    const headers = await signer.sign({ method: "GET", url: target });
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(target, { headers, signal, redirect: "error" });
      const body = await readBounded(response.body, maxMetricsBytes, signal);
      if (response.status === 401) {
        throw new AppError("signature_invalid", "The node does not know the key that signs here.");
      }
      if (!response.ok || !body.ok) {
        const what = body.ok ? `status ${response.status}` : `more than ${maxMetricsBytes} bytes`;
        throw new AppError("node_protocol", `The node answered with ${what}.`);
      }
      const contentType = response.headers.get("content-type") ?? "text/plain";
      return { text: new TextDecoder().decode(body.bytes), contentType };
    } catch (cause) {
      if (cause instanceof AppError) throw cause;
      const internal = cause instanceof Error ? cause.message : String(cause);
      throw new AppError("node_unavailable", "The node did not answer.", { cause, internal });
    }
  }

  return {
    read,
    async answer(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/healthz") return Response.json({ status: "ok" });
      if (pathname !== "/metrics") {
        return problemResponse(new AppError("not_found", "There is /metrics here, and no more."));
      }
      if (request.method !== "GET") {
        return problemResponse(new AppError("method_not_allowed", "Metrics are read with GET."));
      }
      try {
        const { text, contentType } = await read();
        return new Response(text, { headers: { "content-type": contentType } });
      } catch (error) {
        return problemResponse(error);
      }
    },
  };
}
