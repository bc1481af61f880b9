// Signed calls to a node as the edge makes them, and what a measurement wants to know of the answers.
import type { GenerationRequest } from "@blip2-edge/shared/contracts/generation";
import { AppError, fromProblem } from "@blip2-edge/shared/problem";
import { readEvents } from "@blip2-edge/shared/wire/events";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import {
  catalogSchema,
  type InferResponse,
  inferResponseSchema,
} from "@blip2-edge/shared/wire/protocol";
import { createSigner, type SigningKey } from "@blip2-edge/shared/wire/signature";
import { setTimeout as sleep } from "node:timers/promises";
import { benchImageId, benchPixels } from "./bench-pictures.ts";
import { patientFetch } from "./patient-fetch.ts";

export interface Asked {
  /** Which picture; benchPixels makes it. */
  readonly picture: number;
  /** False where the node is believed to hold its features. */
  readonly withPixels: boolean;
  readonly text: string | null;
  readonly generation: GenerationRequest;
}

export interface Told {
  /** From the first attempt to the whole answer. */
  readonly tookMs: number;
  /** Of the node's Server-Timing header. */
  readonly stages: Readonly<Record<string, number>>;
  readonly tokens: number;
  readonly visionPasses: number;
  /** How often the node had no room and the call was made again when it had said. */
  readonly refusals: number;
}

export interface NodeClient {
  /**
   * `onFirstText` asks for a stream and hears when its first text comes.
   * Errors: what the node refuses for another reason than that it is full.
   */
  infer(asked: Asked, onFirstText?: () => void): Promise<Told>;
  /** Milliseconds to a health answer. */
  health(): Promise<number>;
}

const deadlineMs = 600_000;
const partition = "0".repeat(32);
const longestWaitS = 30;

/** `queue;dur=1.5, vision;dur=20` -> { queue: 1.5, vision: 20 } */
export const parseServerTiming = (header: string): Readonly<Record<string, number>> =>
  Object.fromEntries(
    header
      .split(",")
      .map((part) => /^\s*([\w-]+)\s*;.*?\bdur=([\d.]+)/.exec(part))
      .flatMap((found) => (found === null ? [] : [[found[1] ?? "", Number(found[2])] as const])),
  );

/** Until the first token is known. */
export const firstTokenMs = ({ stages }: Told): number =>
  ["queue", "wait", "vision", "prefill"].reduce((sum, stage) => sum + (stages[stage] ?? 0), 0);

async function readStream(response: Response, onFirstText: () => void): Promise<InferResponse> {
  if (response.body === null) throw new AppError("node_protocol", "A stream has no body.");
  let heard = false;
  for await (const event of readEvents(response.body)) {
    if (event.event === "result") return event.data;
    if (event.event === "problem") throw event.error;
    if (!heard) onFirstText();
    heard = true;
  }
  throw new AppError("node_protocol", "A stream ended without its result.");
}

/** Errors: those of the node when it does not say what it serves. */
export async function connect(
  url: string,
  keys: readonly SigningKey[],
  signal: AbortSignal,
): Promise<NodeClient> {
  const signer = createSigner({ keys });
  const send = async (
    method: string,
    path: string,
    content?: { readonly body: Uint8Array; readonly contentType: string },
  ): Promise<Response> => {
    const headers = await signer.sign({ method, url: `${url}${path}`, ...content });
    const body = content === undefined ? {} : { body: content.body };
    const response = await patientFetch(`${url}${path}`, { method, headers, signal, ...body });
    if (response.ok) return response;
    const problem = fromProblem(await response.json().catch(() => undefined));
    throw problem ?? new AppError("node_protocol", `${path} was answered with ${response.status}.`);
  };
  const catalog = catalogSchema.parse(await (await send("GET", "/v1/catalog")).json());
  const [model] = catalog.models;
  if (model === undefined) throw new AppError("node_protocol", "The node serves no model.");

  const frame = ({ picture, withPixels, text, generation }: Asked, stream: boolean) => {
    const json = JSON.stringify({
      model: model.model,
      model_revision: model.model_revision,
      partition,
      image: { image_id: benchImageId(picture), size: model.image_size },
      texts: [text],
      generation,
      deadline_ms: deadlineMs,
      stream,
    });
    return withPixels
      ? writeFrame({ json, pixels: benchPixels(model.image_size, picture) })
      : { body: new TextEncoder().encode(json), contentType: "application/json" };
  };

  return {
    async infer(asked, onFirstText) {
      const content = frame(asked, onFirstText !== undefined);
      const startedAt = performance.now();
      for (let refusals = 0; ; refusals += 1) {
        try {
          const response = await send("POST", "/v1/infer", content);
          const answer =
            onFirstText === undefined
              ? inferResponseSchema.parse(await response.json())
              : await readStream(response, onFirstText);
          return {
            tookMs: performance.now() - startedAt,
            stages: parseServerTiming(response.headers.get("server-timing") ?? ""),
            tokens: answer.results.reduce((sum, result) => sum + result.token_ids.length, 0),
            visionPasses: answer.vision_passes,
            refusals,
          };
        } catch (error) {
          if (!(error instanceof AppError) || error.code !== "overloaded") throw error;
          const waitS = Math.min(error.retryAfterS ?? 1, longestWaitS);
          await sleep(waitS * 1000, undefined, { signal });
        }
      }
    },
    async health() {
      const startedAt = performance.now();
      const response = await fetch(`${url}/healthz`, { signal });
      await response.arrayBuffer();
      return performance.now() - startedAt;
    },
  };
}
