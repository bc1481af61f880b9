// Whether a prompt and what may be generated after it fit the model, decided before anything runs.
import { AppError } from "@blip2-edge/shared/problem";

export interface ContextUse {
  readonly imageTokens: number;
  readonly textTokens: number;
  readonly maxNewTokens: number;
  /** Positions the model has. */
  readonly context: number;
}

/** Errors: `prompt_too_long`, naming every number that counts. */
export function checkContext(use: ContextUse): void {
  const { imageTokens, textTokens, maxNewTokens, context } = use;
  const needed = imageTokens + textTokens + maxNewTokens;
  if (needed <= context) return;
  throw new AppError(
    "prompt_too_long",
    `The image takes ${imageTokens} tokens, the text ${textTokens} and ${maxNewTokens} new tokens were asked for: ` +
      `${needed} of ${context} positions. Shorten the text or lower max_new_tokens.`,
  );
}
