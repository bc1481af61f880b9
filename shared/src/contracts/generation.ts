// Generation parameters under Hugging Face's names, shared by the API, the wire and the command line.
// Every schema is strict: an unknown field is refused by name, never ignored.
import { z } from "zod";

export const generationFields = {
  max_new_tokens: z
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe("At most this many tokens are generated. Default 20."),
  min_new_tokens: z
    .int()
    .min(0)
    .max(256)
    .optional()
    .describe("The end token is suppressed before this many tokens. Default 0."),
  repetition_penalty: z
    .number()
    .gt(0)
    .max(10)
    .optional()
    .describe(
      "Scores of ids that already occurred are divided (or multiplied, if negative) by it. Default 1.",
    ),
  no_repeat_ngram_size: z
    .int()
    .min(0)
    .max(64)
    .optional()
    .describe("No n-gram of this size occurs twice. 0 switches it off. Default 0."),
} as const;

export const generationSchema = z.strictObject(generationFields);
export type GenerationRequest = z.infer<typeof generationSchema>;

/** Generation parameters with every default filled in, in one fixed key order: part of cache keys. */
export interface Generation {
  readonly max_new_tokens: number;
  readonly min_new_tokens: number;
  readonly repetition_penalty: number;
  readonly no_repeat_ngram_size: number;
}

/** Fills the defaults of the reference (Hugging Face's GenerationConfig; 20 new tokens). */
export function resolveGeneration(request: GenerationRequest): Generation {
  return {
    max_new_tokens: request.max_new_tokens ?? 20,
    min_new_tokens: request.min_new_tokens ?? 0,
    repetition_penalty: request.repetition_penalty ?? 1,
    no_repeat_ngram_size: request.no_repeat_ngram_size ?? 0,
  };
}

/** Why generation ended: the family's end token, or the length limit. */
export const finishReasonSchema = z.enum(["stop", "length"]);
export type FinishReason = z.infer<typeof finishReasonSchema>;

/** What the inference that made a result cost; the same for a cached copy of it. */
export const usageSchema = z.object({
  image_tokens: z.int(),
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
});
export type Usage = z.infer<typeof usageSchema>;
