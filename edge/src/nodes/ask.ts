// Asking a node: JSON alone while the node is believed to hold the picture, pixels with it when it is
// not; one retry of a connection that broke before a byte of answer, and no other: an engine that has
// just died is not up again within this request, and its problem says when to come back. Once a text of a
// streamed answer was heard there is no second attempt of any kind.
import { AppError, type ProblemCode } from "@blip2-edge/shared/problem";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import type { NodeAsked, NodeCall, NodeTold } from "./calls.ts";
import {
  ConnectionBroke,
  unavailable,
  type Exchange,
  type NodeRequest,
  type OnText,
} from "./exchange.ts";
import type { HeldImages } from "./held-images.ts";

export interface Question<Asked extends NodeAsked> {
  /** The request with the milliseconds that are left, made anew for each attempt. */
  readonly request: (deadlineMs: number) => Asked;
  readonly remainingMs: () => number;
  /** RGB, size * size * 3 bytes, when they were just decoded. */
  readonly pixels?: Uint8Array | undefined;
  /** The stored pixels, when the node turns out to lack them. */
  readonly loadPixels?: () => Promise<Uint8Array | undefined>;
  /** Hears the texts of a request with `stream: true`, if the node can stream. */
  readonly onText?: OnText | undefined;
}

export interface Reply<Told> {
  readonly answer: Told;
  readonly attempts: number;
  readonly sentPixels: boolean;
}

/**
 * Throws image_pixels_gone, node_unavailable, node_protocol, revision_mismatch (the catalogue is to be
 * asked again) and what the node may say to the public.
 */
export type AskNode = <Asked extends NodeAsked, Told extends NodeTold>(
  call: NodeCall<Asked, Told>,
  question: Question<Asked>,
  signal: AbortSignal,
) => Promise<Reply<Told>>;

export interface AskOptions {
  readonly exchange: Exchange;
  readonly held: HeldImages;
  readonly retryWaitMs: number;
  readonly sleep?: (ms: number) => Promise<void>;
}

const realSleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What makes the edge ask a second time. */
const asksAgain: ReadonlySet<ProblemCode> = new Set(["pixels_required", "revision_mismatch"]);

const misunderstood = (internal: string): AppError =>
  new AppError("node_protocol", "The node's answer was not understood.", { internal });

export function nodeAsker(options: AskOptions): AskNode {
  const { exchange, held, retryWaitMs, sleep = realSleep } = options;

  return async (call, question, signal) => {
    const ask = () => question.request(Math.max(1, Math.floor(question.remainingMs())));
    const heldKey = heldKeyOf(ask());
    let attempts = 0;
    let broke = false;
    let pixels = heldKey === undefined || held.has(heldKey) ? undefined : question.pixels;
    let heard = false;
    const { onText } = question;
    const hear: OnText | undefined =
      onText === undefined
        ? undefined
        : (index, text) => {
            heard = true;
            onText(index, text);
          };

    for (;;) {
      attempts += 1;
      const request = ask();
      try {
        const body = await exchange(nodeRequest(call.path, request, pixels), signal, hear);
        const told = call.answer.safeParse(body);
        if (!told.success) throw misunderstood(told.error.message);
        const fault = call.fault(request, told.data);
        if (fault !== undefined) throw misunderstood(fault);
        if (heldKey !== undefined) held.add(heldKey);
        return { answer: told.data, attempts, sentPixels: pixels !== undefined };
      } catch (error) {
        if (heard && error instanceof AppError && asksAgain.has(error.code)) {
          throw misunderstood(`${error.code} after a text`);
        }
        if (error instanceof AppError && error.code === "pixels_required") {
          if (pixels !== undefined) throw misunderstood("it asks for pixels that it was sent");
          if (heldKey === undefined) throw misunderstood("it asks for pixels where there are none");
          held.forget(heldKey);
          pixels = question.pixels ?? (await question.loadPixels?.());
          if (pixels !== undefined) continue;
          throw new AppError(
            "image_pixels_gone",
            "The pixels of this image are no longer stored at the size that the model needs. Send the picture again.",
          );
        }
        if (!(error instanceof ConnectionBroke)) throw error;
        held.clear();
        if (heldKey !== undefined) pixels ??= question.pixels;
        if (error.answered || broke) throw unavailable(error.message, undefined, error);
        broke = true;
        await sleep(retryWaitMs);
        signal.throwIfAborted();
      }
    }
  };
}

/** What a node holds are a model's features of a picture; undefined for a request about no picture. */
const heldKeyOf = ({ partition, image, model_revision: revision }: NodeAsked): string | undefined =>
  image === undefined ? undefined : `${partition}/${image.image_id}/${image.size}/${revision}`;

function nodeRequest(path: string, asked: NodeAsked, pixels: Uint8Array | undefined): NodeRequest {
  const base = { method: "POST", path } as const;
  const json = JSON.stringify(asked);
  if (pixels !== undefined) return { ...base, ...writeFrame({ json, pixels }) };
  return { ...base, contentType: "application/json", body: new TextEncoder().encode(json) };
}
