// Beam search as transformers 5 does it (generation/utils.py, the vectorised one), for one request: scores
// are float32 sums of processed log-probabilities, finished texts are compared by their length-penalised
// mean. What the reference does to a batch as a whole it does here to each request alone.
import type { Generation } from "@blip2-edge/shared/contracts/generation";
import { takeCandidates } from "./beam-candidates.ts";
import type { LogitsProcessor } from "./logits-processor.ts";
import type { Random } from "./random.ts";
import { type FoundSequence, nothingToChoose, processScores, type Search } from "./search.ts";
import { logNormaliser } from "./selection.ts";
import { finishReason } from "./stopping.ts";

export interface BeamOptions {
  /** Placeholders included; the processors see it. */
  readonly promptIds: readonly number[];
  /** With the lengths that hold for this prompt. */
  readonly generation: Generation;
  readonly processors: readonly LogitsProcessor[];
  readonly endIds: readonly number[];
  /** For do_sample. */
  readonly random?: Random;
}

interface Beam {
  /** Prompt and generated ids. */
  readonly ids: readonly number[];
  readonly score: number;
  /** Sum of the model's own log-probabilities, before any processor. */
  readonly logProbSum: number;
}

interface Finished extends FoundSequence {
  readonly score: number;
}

export function beamSearch(options: BeamOptions): Search {
  const { promptIds, generation, processors, endIds, random } = options;
  const { num_beams: beams, max_new_tokens: maxNewTokens } = generation;
  const { early_stopping: earlyStopping, length_penalty: lengthPenalty } = generation;
  // Enough that num_beams unfinished ones remain should every beam end in each of its ways.
  const candidateCount = Math.max(2, 1 + endIds.length) * beams;
  const penalised = (score: number, length: number): number =>
    Math.fround(score / Math.fround(length ** lengthPenalty));

  let running: readonly Beam[] = [{ ids: promptIds, score: 0, logProbSum: 0 }];
  let finished: readonly Finished[] = [];

  /** Whether the best running beam, of `length` ids, may still beat the worst finished one. */
  const canImprove = (length: number): boolean => {
    if (finished.length < beams) return true;
    const asIf = earlyStopping === "never" && lengthPenalty > 0 ? maxNewTokens : length;
    return penalised(running[0]?.score ?? -Infinity, asIf) > (finished.at(-1)?.score ?? -Infinity);
  };

  return {
    advance(logits) {
      const normalisers = logits.map(logNormaliser);
      const scored = running.map((beam, at) => {
        const row = logits[at] ?? new Float32Array();
        const normaliser = normalisers[at] ?? NaN;
        const next = row.map((logit) => logit - normaliser); // log-softmax, float32
        return { score: beam.score, next: processScores(processors, beam.ids, next) };
      });
      const candidates = takeCandidates(scored, candidateCount, random).map((candidate, rank) => {
        const { ids, logProbSum } = running[candidate.beam]!;
        const raw = logits[candidate.beam]![candidate.id]! - normalisers[candidate.beam]!;
        const all = [...ids, candidate.id];
        const reason = finishReason(
          candidate.id,
          all.length - promptIds.length,
          maxNewTokens,
          endIds,
        );
        return { ...candidate, rank, ids: all, logProbSum: logProbSum + raw, reason };
      });
      if (candidates.length === 0) throw nothingToChoose(logits[0] ?? new Float32Array());
      const length = candidates[0]!.ids.length - promptIds.length;

      // Only the first num_beams may finish: the others are there to go on with.
      const ended = candidates.flatMap(({ reason, rank, ids, score, logProbSum }): Finished[] =>
        reason === undefined || rank >= beams
          ? []
          : [
              {
                tokenIds: ids.slice(promptIds.length),
                finishReason: reason,
                logProb: logProbSum / length,
                score: penalised(score, length),
              },
            ],
      );
      finished = [...finished, ...ended]
        .toSorted((one, other) => other.score - one.score)
        .slice(0, beams);
      const going = candidates
        .filter(({ reason }) => reason === undefined)
        .toSorted((one, other) => other.score - one.score) // draws come in no order of score
        .slice(0, beams);
      running = going;
      const full = finished.length === beams;
      if (going.length === 0 || (earlyStopping === true && full) || !canImprove(length)) return [];
      return going.map(({ beam, id }) => ({ parent: beam, id }));
    },
    newestIds: () => [],
    results: () => finished.slice(0, generation.num_return_sequences),
  };
}
