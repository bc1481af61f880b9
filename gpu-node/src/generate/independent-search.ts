// Greedy decoding and sampling: sequences over one prompt that do not know of each other, each leaving
// the batch as it ends. Greedy is one of them with argmax, sampling several with draws of their own.
import { logProbability, type Selection } from "./selection.ts";
import { nothingToChoose, processScores, type Search } from "./search.ts";
import type { Sequence } from "./sequence.ts";

/** A sequence that stands at the prompt's end, and how its tokens are chosen. */
export interface Chosen {
  readonly sequence: Sequence;
  readonly select: Selection;
}

const resultsOf = (all: readonly Chosen[]) =>
  all.map(({ sequence }) => ({
    tokenIds: sequence.tokenIds(),
    finishReason: sequence.finishReason ?? "length",
    logProb: sequence.meanLogProbability(),
  }));

export function independentSearch(all: readonly Chosen[]): Search {
  let live = all;
  let atPrompt = true;
  return {
    advance(logits) {
      const going: { readonly chosen: Chosen; readonly parent: number }[] = [];
      live.forEach((chosen, at) => {
        const parent = atPrompt ? 0 : at;
        const row = logits[parent] ?? new Float32Array();
        const { sequence, select } = chosen;
        const { processors } = sequence;
        const scores =
          processors.length === 0 ? row : processScores(processors, sequence.ids, row.slice());
        const id = select(scores);
        if (id < 0) throw nothingToChoose(row);
        sequence.append(id, logProbability(row, id));
        if (sequence.finishReason === undefined) going.push({ chosen, parent });
      });
      atPrompt = false;
      live = going.map(({ chosen }) => chosen);
      return going.map(({ chosen, parent }) => ({ parent, id: chosen.sequence.lastId }));
    },
    newestIds: () => (all.length === 1 ? (all[0]?.sequence.tokenIds() ?? []) : []),
    results: () => resultsOf(all),
  };
}

/**
 * As independentSearch of one greedy sequence whose processors only hold its end tokens back for the first
 * `minNewTokens`: its tokens may be chosen where the model runs.
 */
export function unaidedSearch(chosen: Chosen, minNewTokens: number): Search {
  const { sequence } = chosen;
  const search = independentSearch([chosen]);
  return {
    ...search,
    unaided: {
      get lastId() {
        return sequence.lastId;
      },
      get tokensLeft() {
        return sequence.tokensLeft;
      },
      get heldBack() {
        return Math.max(0, minNewTokens - sequence.tokenIds().length);
      },
      take(id, logProbability) {
        sequence.append(id, logProbability);
        return sequence.finishReason === undefined;
      },
    },
  };
}
