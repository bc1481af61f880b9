// What generation needs of a language model, and no more: a batch whose rows come and go, one step that gives
// scores, and a run of several steps in which every row takes the most probable token by itself. Where prompts
// stand, before the generated ids or in an encoder, is the decoder's own business, and so is where the keys
// and values lie.

/** One sequence as the first pass sees it. */
export interface PromptRow {
  /** Projected image features, f32 [prefixTokens, hidden] flat; they stand before the text. */
  readonly prefix: Float32Array;
  /** Ids of the text, specials included, image placeholders not. At least one. */
  readonly textIds: readonly number[];
}

export interface RunResult {
  /** Steps that were made: as many as were asked for, or fewer when every row had ended. */
  readonly steps: number;
  /** Chosen ids, [steps, rows] flat. After a row's end token its ids mean nothing. */
  readonly ids: ArrayLike<number>;
  /** log-softmax of the raw scores at the chosen ids, [steps, rows] flat. */
  readonly logProbs: ArrayLike<number>;
}

/** Sequences that are decoded together. A call that fails leaves the batch unusable. */
export interface DecodeBatch {
  readonly rows: number;
  /** Of keys and values that are held, room to grow included. */
  readonly bytes: number;
  /** Runs the prompts and adds their rows at the end. Gives scores of their next tokens, f32 [prompts, vocab] flat. */
  join(prompts: readonly PromptRow[]): Promise<Float32Array>;
  /** Appends one id to each row and gives the scores of the next token, f32 [rows, vocab] flat. */
  step(ids: readonly number[]): Promise<Float32Array>;
  /**
   * Appends one id to each row, then, `steps` times at most, the most probable next one, the first of equals. The
   * last one chosen is not appended: it is what the next step is to be fed. A row may not choose its end tokens in
   * the first `heldBack` steps of this run.
   */
  run(ids: readonly number[], steps: number, heldBack: readonly number[]): Promise<RunResult>;
  /** Keeps the given rows in the given order: drops what is done, reorders and repeats beams. */
  select(rows: readonly number[]): void;
}

export interface Decoder {
  readonly vocab: number;
  /** The ids before the first generated one as the logits processors see them. At least one. */
  promptIds(row: PromptRow): readonly number[];
  /** Errors: `prompt_too_long` when the prompt and so many new tokens do not fit the model. */
  checkContext(row: PromptRow, maxNewTokens: number): void;
  /** Bytes of keys and values that the row holds at the end of so many new tokens. */
  rowBytes(row: PromptRow, maxNewTokens: number): number;
  /** An empty batch. */
  openBatch(): DecodeBatch;
}
