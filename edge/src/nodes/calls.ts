// The calls that a node understands: where each goes, what its answer looks like, and what besides its
// form makes an answer one to its request.
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { readEmbedding } from "@blip2-edge/shared/wire/embedding";
import {
  embedResponseSchema,
  inferResponseSchema,
  matchResponseSchema,
  type EmbedRequest,
  type EmbedResponse,
  type InferRequest,
  type InferResponse,
  type MatchRequest,
  type MatchResponse,
} from "@blip2-edge/shared/wire/protocol";
import type { z } from "zod";

/** What the room must see of every request. Without an image there are no pixels to send. */
export interface NodeAsked {
  readonly model: string;
  readonly model_revision: string;
  readonly partition?: string;
  readonly image?: { readonly image_id: string; readonly size: number };
  readonly deadline_ms: number;
  readonly priority?: "interactive" | "bulk" | undefined;
  readonly texts?: readonly unknown[];
}

/** What every answer tells of its cost. */
export interface NodeTold {
  readonly vision_passes: number;
}

export interface NodeCall<Asked extends NodeAsked, Told extends NodeTold> {
  readonly path: string;
  readonly answer: z.ZodType<Told>;
  /** How much is asked for, in any unit: calls of about the same work are expected to take as long. */
  readonly work: (asked: Asked) => number;
  /** Why a well-formed answer is none to this request; undefined when it is one. */
  readonly fault: (asked: Asked, told: Told) => string | undefined;
}

const countFault = (wanted: number, given: number): string | undefined =>
  wanted === given ? undefined : `${given} results for ${wanted}`;

export const inferCall: NodeCall<InferRequest, InferResponse> = {
  path: "/v1/infer",
  answer: inferResponseSchema,
  work({ texts, generation }) {
    const { num_beams, max_new_tokens, max_length } = resolveGeneration(generation);
    return texts.length * num_beams * (max_length ?? max_new_tokens);
  },
  fault: ({ texts }, { results }) => countFault(texts.length, results.length),
};

export const matchCall: NodeCall<MatchRequest, MatchResponse> = {
  path: "/v1/match",
  answer: matchResponseSchema,
  work: ({ texts, scores }) => texts.length * scores.length,
  fault({ texts, scores }, { matches }) {
    const lacking = scores.filter((score) => matches.some((match) => match[score] === undefined));
    return lacking.length > 0
      ? `a match without ${lacking.join(" and ")}`
      : countFault(texts.length, matches.length);
  },
};

export const embedCall: NodeCall<EmbedRequest, EmbedResponse> = {
  path: "/v1/embed",
  answer: embedResponseSchema,
  work: (asked) => ("texts" in asked ? asked.texts.length : 1),
  fault(asked, { embeddings }) {
    const wanted = "texts" in asked ? asked.texts.length : 1;
    const vectorPerText = "texts" in asked && asked.features === "projected";
    if (embeddings.some(({ dims }) => dims.length !== (vectorPerText ? 1 : 2))) {
      return "an embedding of other dimensions";
    }
    if (embeddings.some((embedding) => readEmbedding(embedding) === undefined)) {
      return "an embedding that does not fit its dimensions or is not finite";
    }
    return countFault(wanted, embeddings.length);
  },
};
