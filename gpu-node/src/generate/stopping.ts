// When a sequence ends: at the family's end token, or at the length that was asked for.
import type { FinishReason } from "@blip2-edge/shared/contracts/generation";

/** The reason to end after `lastId`, the `newTokens`-th generated id; undefined to go on. */
export function finishReason(
  lastId: number,
  newTokens: number,
  maxNewTokens: number,
  endIds: readonly number[],
): FinishReason | undefined {
  if (endIds.includes(lastId)) return "stop";
  return newTokens >= maxNewTokens ? "length" : undefined;
}
