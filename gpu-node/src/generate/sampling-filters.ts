// What sampling does to the scores after every other processor: temperature, then top-k, then top-p, with
// Hugging Face's semantics. Each works in place on one row of float32 scores.
// Source: transformers 5.18 generation/logits_process.py, the classes *LogitsWarper.
import type { LogitsProcessor } from "./logits-processor.ts";

export function temperature(value: number): LogitsProcessor {
  const divisor = Math.fround(value);
  return (_, scores) => {
    for (let id = 0; id < scores.length; id += 1) scores[id] = scores[id]! / divisor;
  };
}

/** Keeps scores at or above the k-th highest, ties too; k is at least `minTokensToKeep`. */
export function topK(k: number, minTokensToKeep: number): LogitsProcessor {
  const kept = Math.max(k, minTokensToKeep);
  return (_, scores) => {
    if (kept >= scores.length) return;
    const threshold = scores.toSorted()[scores.length - kept]!;
    for (let id = 0; id < scores.length; id += 1) {
      if (scores[id]! < threshold) scores[id] = -Infinity;
    }
  };
}

/**
 * Drops, from the lowest score up, while what was dropped holds at most 1 - p of the probability; the
 * `minTokensToKeep` highest stay.
 */
export function topP(p: number, minTokensToKeep: number): LogitsProcessor {
  return (_, scores) => {
    const ids: number[] = [];
    for (let id = 0; id < scores.length; id += 1) if (scores[id]! > -Infinity) ids.push(id);
    ids.sort((one, other) => scores[one]! - scores[other]!);
    const highest = scores[ids.at(-1) ?? 0] ?? 0;
    const weights = ids.map((id) => Math.exp(scores[id]! - highest));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let dropped = 0;
    for (let rank = 0; rank < ids.length - minTokensToKeep; rank += 1) {
      dropped += weights[rank]! / total;
      if (dropped > 1 - p) return;
      scores[ids[rank]!] = -Infinity;
    }
  };
}
