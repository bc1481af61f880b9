// A language model for tests: a function from what one row was given to the scores of its next token. It knows
// its rows by what they were fed, and so notices a wrong reordering.
import type { DecodeBatch, Decoder, PromptRow } from "../../gpu-node/src/generate/decoder.ts";
import { argmax, logProbability } from "../../gpu-node/src/generate/selection.ts";

export interface ModelOfScores {
  readonly vocab: number;
  readonly endIds: readonly number[];
  scores(textIds: readonly number[], fed: readonly number[]): Float32Array;
  promptIds(row: PromptRow): readonly number[];
  checkContext?(row: PromptRow, maxNewTokens: number): void;
}

export interface DecoderCalls {
  joins: number;
  /** Rows of every step, those within a run too. */
  readonly rowsPerStep: number[];
  /** What every step was fed. */
  readonly fed: number[][];
}

export function decoderOfScores(model: ModelOfScores): {
  readonly decoder: Decoder;
  readonly calls: DecoderCalls;
} {
  const { vocab, endIds } = model;
  const calls: DecoderCalls = { joins: 0, rowsPerStep: [], fed: [] };

  const openBatch = (): DecodeBatch => {
    let rows: { readonly textIds: readonly number[]; readonly fed: readonly number[] }[] = [];
    const scoresOf = (some: typeof rows): Float32Array => {
      const scores = new Float32Array(some.length * vocab);
      some.forEach(({ textIds, fed }, at) => scores.set(model.scores(textIds, fed), at * vocab));
      return scores;
    };
    const step = (ids: readonly number[]): Float32Array => {
      if (ids.length !== rows.length) throw new Error(`${ids.length} ids for ${rows.length} rows`);
      calls.rowsPerStep.push(ids.length);
      calls.fed.push([...ids]);
      rows = rows.map((row, at) => ({ ...row, fed: [...row.fed, ids[at] ?? -1] }));
      return scoresOf(rows);
    };
    return {
      get rows() {
        return rows.length;
      },
      get bytes() {
        return rows.reduce((sum, { textIds, fed }) => sum + textIds.length + fed.length, 0);
      },
      async join(prompts) {
        calls.joins += 1;
        const newcomers = prompts.map(({ textIds }) => ({ textIds, fed: [] }));
        rows = [...rows, ...newcomers];
        return scoresOf(newcomers);
      },
      step: async (ids) => step(ids),
      async run(ids, steps, heldBack) {
        const chosen: number[] = [];
        const logProbs: number[] = [];
        const ended = rows.map(() => false);
        let next = [...ids];
        let made = 0;
        while (made < steps && !ended.every(Boolean)) {
          const scores = step(next);
          next = rows.map((_, row) => {
            const raw = scores.slice(row * vocab, (row + 1) * vocab);
            const allowed = raw.slice();
            if (made < (heldBack[row] ?? 0)) for (const id of endIds) allowed[id] = -Infinity;
            const id = argmax(allowed);
            ended[row] ||= endIds.includes(id);
            chosen.push(id);
            logProbs.push(logProbability(raw, id));
            return id;
          });
          made += 1;
        }
        return { steps: made, ids: chosen, logProbs };
      },
      select(kept) {
        rows = kept.map((at) => {
          const row = rows[at];
          if (row === undefined) throw new Error(`row ${at} of ${rows.length}`);
          return row;
        });
      },
    };
  };

  return {
    calls,
    decoder: {
      vocab,
      promptIds: (row) => model.promptIds(row),
      checkContext: (row, maxNewTokens) => model.checkContext?.(row, maxNewTokens),
      rowBytes: ({ textIds }, maxNewTokens) => textIds.length + maxNewTokens,
      openBatch,
    },
  };
}
