// A decoder of single steps as a batch: an interim until the graphs run several steps.
import type { DecodeBatch, PromptRow } from "../generate/decoder.ts";
import { argmax, logProbability } from "../generate/selection.ts";

export interface DecodeResult<State> {
  /** Scores of the next token, f32 [rows, vocab] flat. */
  readonly logits: Float32Array;
  readonly state: State;
}
export interface StepDecoder<State> {
  readonly vocab: number;
  readonly endIds: readonly number[];
  prefill(rows: readonly PromptRow[]): Promise<DecodeResult<State>>;
  decodeStep(state: State, ids: readonly number[]): Promise<DecodeResult<State>>;
  selectRows(state: State, rows: readonly number[]): State;
}

export function stepBatch<State>(decoder: StepDecoder<State>): DecodeBatch {
  let state: State | undefined;
  let rows = 0;
  const batch: DecodeBatch = {
    get rows() {
      return rows;
    },
    async join(prompts) {
      if (rows > 0) throw new Error("rows join an empty batch only");
      const made = await decoder.prefill(prompts);
      state = made.state;
      rows = prompts.length;
      return made.logits;
    },
    async step(ids) {
      if (state === undefined) throw new Error("an empty batch");
      const made = await decoder.decodeStep(state, ids);
      state = made.state;
      return made.logits;
    },
    async run(ids, steps, heldBack) {
      const { vocab, endIds } = decoder;
      const chosen: number[] = [];
      const logProbs: number[] = [];
      let next = [...ids];
      for (let step = 0; step < steps; step += 1) {
        const logits = await batch.step(next);
        next = next.map((_, row) => {
          const scores = logits.slice(row * vocab, (row + 1) * vocab);
          const raw = scores.slice();
          if (step < (heldBack[row] ?? 0)) for (const id of endIds) scores[id] = -Infinity;
          const id = argmax(scores);
          chosen.push(id);
          logProbs.push(logProbability(raw, id));
          return id;
        });
      }
      return { steps, ids: chosen, logProbs };
    },
    select(kept) {
      if (state !== undefined) state = decoder.selectRows(state, kept);
      rows = kept.length;
    },
  };
  return batch;
}
