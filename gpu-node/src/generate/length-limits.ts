// The lengths of a request turned into lengths of what is generated. max_length and min_length count what
// stands before the answer in the decoder, as the reference's do: image placeholders and prompt for OPT,
// the start token for T5.
import { type Generation, maxGeneratedTokens } from "@blip2-edge/shared/contracts/generation";
import { AppError } from "@blip2-edge/shared/problem";

export interface LengthLimits {
  /** The request with max_new_tokens and min_new_tokens as they hold for this prompt. */
  readonly generation: Generation;
  /** What of it changed nothing, in words. */
  readonly notes: readonly string[];
}

/** Errors: `invalid_request` for a max_length that leaves no token, or more than may be generated. */
export function limitLengths(generation: Generation, promptLength: number): LengthLimits {
  const { max_length: maxLength, min_length: minLength } = generation;
  const counts = `it counts the decoder's ${promptLength} tokens before the answer too`;
  let maxNewTokens = generation.max_new_tokens;
  if (maxLength !== null) {
    maxNewTokens = maxLength - promptLength;
    if (maxNewTokens < 1) {
      throw new AppError(
        "invalid_request",
        `\`max_length\` ${maxLength} leaves nothing to generate: ${counts}. Raise it or give max_new_tokens.`,
      );
    }
    if (maxNewTokens > maxGeneratedTokens) {
      throw new AppError(
        "invalid_request",
        `\`max_length\` ${maxLength} leaves ${maxNewTokens} tokens to generate; ${maxGeneratedTokens} is the most.`,
      );
    }
  }
  const minNewTokens = Math.max(generation.min_new_tokens, minLength - promptLength);
  const notes: string[] = [];
  if (minLength > 0 && minLength <= promptLength) {
    notes.push(`\`min_length\` changed nothing: ${counts}; min_new_tokens does not.`);
  }
  return {
    generation: { ...generation, max_new_tokens: maxNewTokens, min_new_tokens: minNewTokens },
    notes,
  };
}
