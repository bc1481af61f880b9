// Changes to the scores before a token is chosen: Hugging Face's, in Hugging Face's order and with its
// semantics. What they see of the ids is said in logits-processor.ts.
// Source: transformers 5.18 generation/logits_process.py.
import type { Generation } from "@blip2-edge/shared/contracts/generation";
import type { LogitsProcessor } from "./logits-processor.ts";
import { temperature, topK, topP } from "./sampling-filters.ts";

/** Scores of ids that occurred are divided by `penalty`, or multiplied when negative; each id once. */
export function repetitionPenalty(penalty: number): LogitsProcessor {
  const factor = Math.fround(penalty); // the reference multiplies float32 by float32
  return (ids, scores) => {
    for (const id of new Set(ids)) {
      const score = scores[id];
      if (score !== undefined) scores[id] = score < 0 ? score * factor : score / factor;
    }
  };
}

/** Bans every token that would complete an n-gram that the sequence already holds. */
export function noRepeatNgram(size: number): LogitsProcessor {
  return (ids, scores) => {
    if (ids.length + 1 < size) return;
    const prefixStart = ids.length - (size - 1);
    for (let start = 0; start + size <= ids.length; start += 1) {
      let same = true;
      for (let offset = 0; same && offset < size - 1; offset += 1) {
        same = ids[start + offset] === ids[prefixStart + offset];
      }
      const banned = ids[start + size - 1];
      if (same && banned !== undefined && banned < scores.length) scores[banned] = -Infinity;
    }
  };
}

/** Bans the end tokens until `minNewTokens` have been generated. */
export function minNewTokens(
  minimum: number,
  promptLength: number,
  endIds: readonly number[],
): LogitsProcessor {
  return (ids, scores) => {
    if (ids.length - promptLength >= minimum) return;
    for (const id of endIds) if (id < scores.length) scores[id] = -Infinity;
  };
}

/** The processors that a request's settings call for, in the reference's order; none when all are off. */
export function createLogitsProcessors(
  generation: Generation,
  promptLength: number,
  endIds: readonly number[],
): readonly LogitsProcessor[] {
  const processors: LogitsProcessor[] = [];
  if (generation.repetition_penalty !== 1) {
    processors.push(repetitionPenalty(generation.repetition_penalty));
  }
  if (generation.no_repeat_ngram_size > 0) {
    processors.push(noRepeatNgram(generation.no_repeat_ngram_size));
  }
  if (generation.min_new_tokens > 0) {
    processors.push(minNewTokens(generation.min_new_tokens, promptLength, endIds));
  }
  if (generation.do_sample) {
    // A beam needs something to go on with besides its end tokens.
    const minTokensToKeep = generation.num_beams > 1 ? endIds.length + 1 : 1;
    if (generation.temperature !== 1) processors.push(temperature(generation.temperature));
    if (generation.top_k > 0) processors.push(topK(generation.top_k, minTokensToKeep));
    if (generation.top_p < 1) processors.push(topP(generation.top_p, minTokensToKeep));
  }
  return processors;
}
