// Inference on a node: JSON alone while the node is believed to hold the picture, pixels with it when it
// is not; one retry of a connection that broke before a byte of answer, and no other: an engine that has
// just died is not up again within this request, and its problem says when to come back.
import { AppError } from "@blip2-edge/shared/problem";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import {
  inferResponseSchema,
  type InferRequest,
  type InferResponse,
} from "@blip2-edge/shared/wire/protocol";
import { ConnectionBroke, unavailable, type Exchange, type NodeRequest } from "./exchange.ts";
import type { HeldImages } from "./held-images.ts";

export interface InferCall {
  readonly request: Omit<InferRequest, "deadline_ms">;
  /** RGB, size * size * 3 bytes, when they were just decoded. */
  readonly pixels: Uint8Array | undefined;
  /** The stored pixels, when the node turns out to lack them. */
  readonly loadPixels: () => Promise<Uint8Array | undefined>;
  /** Milliseconds that are left, asked anew for each attempt. */
  readonly remainingMs: () => number;
}

export interface InferOutcome {
  readonly response: InferResponse;
  readonly attempts: number;
  readonly sentPixels: boolean;
}

export type Infer = (call: InferCall, signal: AbortSignal) => Promise<InferOutcome>;

export interface InferOptions {
  readonly exchange: Exchange;
  readonly held: HeldImages;
  readonly retryWaitMs: number;
  readonly sleep?: (ms: number) => Promise<void>;
}

const realSleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const misunderstood = (internal: string): AppError =>
  new AppError("node_protocol", "The node's answer was not understood.", { internal });

/**
 * Throws image_pixels_gone, node_unavailable, node_protocol, revision_mismatch (the catalogue is to be
 * asked again) and what the node may say to the public.
 */
export function nodeInfer(options: InferOptions): Infer {
  const { exchange, held, retryWaitMs, sleep = realSleep } = options;

  return async (call, signal) => {
    const { image, partition } = call.request;
    const key = `${partition}/${image.image_id}/${image.size}`;
    let attempts = 0;
    let broke = false;
    let pixels = held.has(key) ? undefined : call.pixels;

    for (;;) {
      attempts += 1;
      const request: InferRequest = {
        ...call.request,
        deadline_ms: Math.max(1, Math.floor(call.remainingMs())),
      };
      try {
        const body = await exchange(nodeRequest(request, pixels), signal);
        const response = inferResponseSchema.safeParse(body);
        if (!response.success || response.data.results.length !== request.texts.length) {
          throw misunderstood(response.error?.message ?? "wrong number of results");
        }
        held.add(key);
        return { response: response.data, attempts, sentPixels: pixels !== undefined };
      } catch (error) {
        if (error instanceof AppError && error.code === "pixels_required") {
          if (pixels !== undefined) throw misunderstood("it asks for pixels that it was sent");
          held.forget(key);
          pixels = call.pixels ?? (await call.loadPixels());
          if (pixels !== undefined) continue;
          throw new AppError(
            "image_pixels_gone",
            "The pixels of this image are no longer stored at the size that the model needs. Send the picture again.",
          );
        }
        if (!(error instanceof ConnectionBroke)) throw error;
        held.clear();
        pixels ??= call.pixels;
        if (error.answered || broke) throw unavailable(error.message, undefined, error);
        broke = true;
        await sleep(retryWaitMs);
        signal.throwIfAborted();
      }
    }
  };
}

function nodeRequest(request: InferRequest, pixels: Uint8Array | undefined): NodeRequest {
  const base = { method: "POST", path: "/v1/infer" } as const;
  const json = JSON.stringify(request);
  if (pixels !== undefined) return { ...base, ...writeFrame({ json, pixels }) };
  return { ...base, contentType: "application/json", body: new TextEncoder().encode(json) };
}
