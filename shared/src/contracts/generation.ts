// Generation parameters under Hugging Face's names, shared by the API, the wire and the command line.
// Every schema is strict: an unknown field is refused by name, never ignored. What the reference refuses
// is refused, what it passes over with a warning is passed over with a note (docs/decisions/0026).
import { z } from "zod";

/** Tokens that one generation may add at most, however its length was asked for. */
export const maxGeneratedTokens = 256;

export const generationFields = {
  max_new_tokens: z
    .int()
    .min(1)
    .max(maxGeneratedTokens)
    .optional()
    .describe("At most this many tokens are generated. Default 20."),
  min_new_tokens: z
    .int()
    .min(0)
    .max(maxGeneratedTokens)
    .optional()
    .describe("The end token is suppressed before this many tokens. Default 0."),
  max_length: z
    .int()
    .min(1)
    .max(2048)
    .optional()
    .describe(
      "At most this many tokens with those before the answer (OPT: image and prompt; T5: the start token). max_new_tokens goes first.",
    ),
  min_length: z
    .int()
    .min(0)
    .max(2048)
    .optional()
    .describe(
      "At least this many tokens with those before the answer (OPT: image and prompt; T5: the start token). min_new_tokens goes first. Default 0.",
    ),
  num_beams: z
    .int()
    .min(1)
    .max(16)
    .optional()
    .describe("Beams of beam search; 1 is none. Default 1."),
  length_penalty: z
    .number()
    .min(-10)
    .max(10)
    .optional()
    .describe(
      "Beam scores are divided by length to this power: above 0 favours long texts, below 0 short ones. Default 1.",
    ),
  early_stopping: z
    .union([z.boolean(), z.literal("never")], { error: 'must be true, false or "never"' })
    .optional()
    .describe(
      'Beam search ends when num_beams texts are done (true), when a better one is unlikely (false) or impossible ("never"). Default false.',
    ),
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
  do_sample: z
    .boolean()
    .optional()
    .describe("Tokens are drawn by their probability instead of taking the best. Default false."),
  temperature: z
    .number()
    .gt(0)
    .max(100)
    .optional()
    .describe("Sampling: scores are divided by it. Default 1."),
  top_k: z
    .int()
    .min(0)
    .max(1_000_000)
    .optional()
    .describe("Sampling: only the k best tokens are drawn from; 0 is all. Default 50."),
  top_p: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("Sampling: only the best tokens that together hold this probability. Default 1."),
  num_return_sequences: z
    .int()
    .min(1)
    .max(16)
    .optional()
    .describe("How many texts to give: at most num_beams, or with do_sample any. Default 1."),
  seed: z
    .int()
    .min(0)
    .max(0xffff_ffff)
    .optional()
    .describe("Sampling: the same seed draws the same text, and its answer may be cached."),
} as const;

const plainGenerationSchema = z.strictObject(generationFields);
export type GenerationRequest = z.infer<typeof plainGenerationSchema>;

/** For superRefine of every schema that holds these fields: the combinations the reference refuses. */
export function refuseCombinations(
  request: GenerationRequest,
  context: {
    readonly addIssue: (issue: { code: "custom"; path: string[]; message: string }) => void;
  },
): void {
  const { num_beams: beams = 1, num_return_sequences: wanted = 1, do_sample = false } = request;
  const refuse = (message: string): void =>
    context.addIssue({ code: "custom", path: ["num_return_sequences"], message });
  if (beams === 1 && !do_sample && wanted > 1) {
    refuse("must be 1 in greedy decoding; set `num_beams` or `do_sample` for more");
  } else if (beams > 1 && wanted > beams) {
    refuse("must be at most `num_beams`");
  }
}

export const generationSchema = plainGenerationSchema.superRefine(refuseCombinations);

/**
 * Generation parameters with every default filled in and all that changes nothing at its default, in one
 * fixed key order: part of cache keys.
 */
export interface Generation {
  readonly max_new_tokens: number;
  readonly min_new_tokens: number;
  /** With the prompt; null when max_new_tokens decides. */
  readonly max_length: number | null;
  readonly min_length: number;
  readonly num_beams: number;
  readonly length_penalty: number;
  readonly early_stopping: boolean | "never";
  readonly repetition_penalty: number;
  readonly no_repeat_ngram_size: number;
  readonly do_sample: boolean;
  readonly temperature: number;
  readonly top_k: number;
  readonly top_p: number;
  readonly num_return_sequences: number;
  /** Null: drawn anew each time, or nothing is drawn. */
  readonly seed: number | null;
}

/** Fills the defaults of the reference (Hugging Face's GenerationConfig; 20 new tokens). */
export function resolveGeneration(request: GenerationRequest): Generation {
  const { num_beams = 1, do_sample = false } = request;
  const beams = num_beams > 1 ? request : {};
  const sampling = do_sample ? request : {};
  return {
    max_new_tokens: request.max_new_tokens ?? 20,
    min_new_tokens: request.min_new_tokens ?? 0,
    max_length: request.max_new_tokens === undefined ? (request.max_length ?? null) : null,
    min_length: request.min_new_tokens === undefined ? (request.min_length ?? 0) : 0,
    num_beams,
    length_penalty: beams.length_penalty ?? 1,
    early_stopping: beams.early_stopping ?? false,
    repetition_penalty: request.repetition_penalty ?? 1,
    no_repeat_ngram_size: request.no_repeat_ngram_size ?? 0,
    do_sample,
    temperature: sampling.temperature ?? 1,
    top_k: sampling.top_k ?? 50,
    top_p: sampling.top_p ?? 1,
    num_return_sequences: request.num_return_sequences ?? 1,
    seed: sampling.seed ?? null,
  };
}

const defaults = resolveGeneration({});

/**
 * The request that resolves to the same again, for the wire: what protocol 1 began with is always there,
 * a younger field only where it differs from its default, so that an older node is not asked in words
 * that it does not need to know.
 */
export function requestOf(generation: Generation): GenerationRequest {
  const { max_new_tokens, min_new_tokens, repetition_penalty, no_repeat_ngram_size, ...younger } =
    generation;
  return {
    ...(generation.max_length === null ? { max_new_tokens } : {}),
    ...(generation.min_length === 0 ? { min_new_tokens } : {}),
    repetition_penalty,
    no_repeat_ngram_size,
    ...Object.fromEntries(
      Object.entries(younger).filter(
        ([name, value]) => value !== defaults[name as keyof Generation],
      ),
    ),
  };
}

/** Whether the same request gives the same text again: false only for sampling without a seed. */
export const isReproducible = (generation: Generation): boolean =>
  !generation.do_sample || generation.seed !== null;

/**
 * What of a request changes nothing, in words, where the reference warns. What depends on the prompt
 * (min_length) the node says.
 */
export function generationNotes(request: GenerationRequest): string[] {
  const { num_beams = 1, do_sample = false } = request;
  const given = (fields: readonly (keyof GenerationRequest & keyof Generation)[]) =>
    fields.filter((name) => request[name] !== undefined && request[name] !== defaults[name]);
  const notes: string[] = [];
  if (!do_sample) {
    for (const name of given(["temperature", "top_k", "top_p", "seed"])) {
      notes.push(`\`${name}\` changed nothing: it is for do_sample.`);
    }
  }
  if (num_beams === 1) {
    for (const name of given(["length_penalty", "early_stopping"])) {
      notes.push(`\`${name}\` changed nothing: it is for num_beams above 1.`);
    }
  }
  for (const bound of ["max", "min"] as const) {
    if (request[`${bound}_length`] !== undefined && request[`${bound}_new_tokens`] !== undefined) {
      notes.push(`\`${bound}_length\` changed nothing: ${bound}_new_tokens goes first.`);
    }
  }
  return notes;
}

/** Why generation ended: the family's end token, or the length limit. */
export const finishReasonSchema = z.enum(["stop", "length"]);
export type FinishReason = z.infer<typeof finishReasonSchema>;

/** One of several texts that one request gave. */
export const returnedSequenceSchema = z.object({
  text: z.string(),
  log_prob: z.number(),
  finish_reason: finishReasonSchema,
});

/** What an answer says besides its first text. */
export const moreOfAnswer = {
  /** All texts, best first, the first among them; absent unless several were asked for. */
  sequences: z.array(returnedSequenceSchema).optional(),
  /** Parameters that changed nothing, and why; absent when all did. */
  notes: z.array(z.string()).optional(),
} as const;

/** What the inference that made a result cost, all its texts together; the same for a cached copy. */
export const usageSchema = z.object({
  image_tokens: z.int(),
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
});
export type Usage = z.infer<typeof usageSchema>;
