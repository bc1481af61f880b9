// Whether a prompt and what may be generated after it fit the model, decided before anything runs.
import { AppError } from "@blip2-edge/shared/problem";

export interface ContextUse {
  readonly imageTokens: number;
  readonly textTokens: number;
  readonly maxNewTokens: number;
  /** Positions the model has. */
  readonly context: number;
}

const refuse = (detail: string): AppError => new AppError("prompt_too_long", detail);

/** For prompt and answer in one sequence. Errors: `prompt_too_long`, naming every number that counts. */
export function checkContext(use: ContextUse): void {
  const { imageTokens, textTokens, maxNewTokens, context } = use;
  const needed = imageTokens + textTokens + maxNewTokens;
  if (needed <= context) return;
  throw refuse(
    `The image takes ${imageTokens} tokens, the text ${textTokens} and ${maxNewTokens} new tokens were asked for: ` +
      `${needed} of ${context} positions. Shorten the text or lower max_new_tokens.`,
  );
}

/** For a prompt in an encoder and an answer, after its start token, in a decoder. Errors: as above. */
export function checkEncoderContext(use: ContextUse): void {
  const { imageTokens, textTokens, maxNewTokens, context } = use;
  const source = imageTokens + textTokens;
  if (source > context) {
    throw refuse(
      `The image takes ${imageTokens} tokens and the text ${textTokens}: ${source} of ${context} positions. Shorten the text.`,
    );
  }
  if (maxNewTokens + 1 > context) {
    throw refuse(
      `${maxNewTokens} new tokens were asked for: with the start token ${maxNewTokens + 1} of ${context} positions. Lower max_new_tokens.`,
    );
  }
}
