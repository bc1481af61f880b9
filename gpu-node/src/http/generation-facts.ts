// What metrics, traces and the log are told of generated texts: counts, times and why they ended, never the
// texts.
import type { Dispatched } from "../engine/dispatcher.ts";
import type { TokenTimes } from "../observe/metrics.ts";

export interface GenerationFacts extends TokenTimes {
  /** Tokens that the language model read, those of the image among them. */
  readonly inputTokens: number;
  readonly finishReasons: readonly string[];
}

type Generated = Pick<
  Extract<Dispatched, { readonly kind: "generate" }>,
  "results" | "firstTokenMs" | "stages" | "queueMs"
>;

export function generationFacts(outcome: Generated): GenerationFacts {
  const { results, firstTokenMs, stages, queueMs } = outcome;
  const inEngineMs = Object.values(stages).reduce((sum, tookMs) => sum + tookMs, 0);
  const longest = Math.max(0, ...results.map(({ token_ids }) => token_ids.length));
  return {
    firstTokenMs: queueMs + firstTokenMs,
    perOutputTokenMs:
      longest > 1 ? Math.max(0, inEngineMs - firstTokenMs) / (longest - 1) : undefined,
    inputTokens: results.reduce(
      (sum, { usage }) => sum + usage.image_tokens + usage.prompt_tokens,
      0,
    ),
    finishReasons: [...new Set(results.map(({ finish_reason }) => finish_reason))],
  };
}
