// Changes to the scores before a token is chosen: Hugging Face's, in Hugging Face's order and with its
// semantics. Each works in place on one row of float32 scores; the ids it sees are the whole sequence of
// the decoder: for OPT prompt and image placeholders included, for T5 the start token alone before the
// generated ids.
// Source: transformers 5.18 generation/logits_process.py.
import type { Generation } from "@blip2-edge/shared/contracts/generation";

export type LogitsProcessor = (ids: readonly number[], scores: Float32Array) => void;

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
  return processors;
}
