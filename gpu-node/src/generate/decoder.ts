// What generation needs of a language model, and no more: a first pass over the prompts, one step per
// token, and rows picked out of the state. The state is opaque: only the decoder reads it. Where prompts
// stand, before the generated ids or in an encoder, is the decoder's own business.

/** One sequence as the first pass sees it. */
export interface PromptRow {
  /** Projected image features, f32 [prefixTokens, hidden] flat; they stand before the text. */
  readonly prefix: Float32Array;
  /** Ids of the text, specials included, image placeholders not. At least one. */
  readonly textIds: readonly number[];
}

export interface DecodeResult<State> {
  /** Scores of the next token, f32 [rows, vocab] flat. */
  readonly logits: Float32Array;
  readonly state: State;
}

export interface Decoder<State> {
  readonly vocab: number;
  /** The ids before the first generated one as the logits processors see them. At least one. */
  promptIds(row: PromptRow): readonly number[];
  /** Errors: `prompt_too_long` when the prompt and so many new tokens do not fit the model. */
  checkContext(row: PromptRow, maxNewTokens: number): void;
  /** Runs all prompts as one batch. */
  prefill(rows: readonly PromptRow[]): Promise<DecodeResult<State>>;
  /** Appends one id to each row. */
  decodeStep(state: State, ids: readonly number[]): Promise<DecodeResult<State>>;
  /** Keeps the given rows in the given order: drops what is done, reorders beams. */
  selectRows(state: State, rows: readonly number[]): State;
}
