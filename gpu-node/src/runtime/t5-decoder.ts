// The T5 graphs behind generate/decoder. The first pass runs the encoder over image and text, prompts of
// unequal length padded on the right, and feeds the decoder its start token; each step reads the cross cache
// that the encoder left. All rows of a batch have generated equally many ids, so the decoder needs no mask.
import type { T5Manifest } from "../artifact/manifest.ts";
import { checkEncoderContext } from "../generate/context-limit.ts";
import type { Decoder, PromptRow } from "../generate/decoder.ts";
import { type DecodeResult, stepBatch, type StepDecoder } from "./step-batch.ts";
import { idTensor, selectItems } from "../tensor/tensor.ts";
import {
  type Cache,
  cacheNames,
  emptyCache,
  output,
  prefixTensor,
  presentName,
  readCache,
  selectCacheRows,
} from "./decoder-tensors.ts";
import type { Session } from "./ort.ts";

/** What of the manifest describes encoder and decoder. */
export type T5DecoderShape = Pick<T5Manifest, "decoder" | "qformer" | "tokens">;

/** Everything between two steps; rows of all parts are in one order. */
export interface T5State {
  /** f32 [rows, heads, past, headDim] each. */
  readonly past: Cache;
  /** Made once by the encoder; f32 [rows, heads, source, headDim] each. */
  readonly cross: Cache;
  /** Per row: 1 where the source has a position, 0 at a pad. */
  readonly sourceMasks: readonly (readonly number[])[];
}

export function createT5Decoder(
  graphs: { readonly encoder: Session; readonly decoder: Session },
  shape: T5DecoderShape,
): Decoder {
  const { layers, heads, head_dim: headDim, hidden, vocab, context } = shape.decoder;
  const { queries: prefixTokens } = shape.qformer;
  const { pad, start } = shape.tokens;
  const pastNames = cacheNames(layers, "decoder");
  const crossNames = cacheNames(layers, "encoder");

  /** The state before the first step. */
  const encode = async (rows: readonly PromptRow[]): Promise<T5State> => {
    const textLength = Math.max(...rows.map((row) => row.textIds.length));
    const places = Array.from({ length: textLength }, (_, at) => at);
    const ids = rows.map((row) => places.map((at) => row.textIds[at] ?? pad));
    const image = Array.from({ length: prefixTokens }, () => 1);
    const sourceMasks = rows.map((row) => [
      ...image,
      ...places.map((at) => (at < row.textIds.length ? 1 : 0)),
    ]);
    const outputs = await graphs.encoder.run({
      input_ids: idTensor(ids),
      prefix_embeds: prefixTensor(rows, prefixTokens, hidden),
      attention_mask: idTensor(sourceMasks),
    });
    return {
      past: emptyCache(pastNames, { rows: rows.length, heads, headDim }),
      cross: readCache(outputs, crossNames),
      sourceMasks,
    };
  };

  const decodeStep = async (
    state: T5State,
    ids: readonly number[],
  ): Promise<DecodeResult<T5State>> => {
    const outputs = await graphs.decoder.run({
      ...state.past,
      ...state.cross,
      input_ids: idTensor(ids.map((id) => [id])),
      encoder_attention_mask: idTensor(state.sourceMasks),
    });
    return {
      logits: output(outputs, "logits").data, // [rows, vocab]
      state: { ...state, past: readCache(outputs, pastNames, presentName) },
    };
  };

  const steps: StepDecoder<T5State> = {
    vocab,
    endIds: shape.tokens.eos,
    prefill: async (rows) =>
      decodeStep(
        await encode(rows),
        rows.map(() => start),
      ),
    decodeStep,
    selectRows: (state, chosen) => ({
      past: selectCacheRows(state.past, chosen),
      cross: selectCacheRows(state.cross, chosen),
      sourceMasks: selectItems(state.sourceMasks, chosen),
    }),
  };
  return {
    vocab,
    promptIds: () => [start],
    checkContext: (row, maxNewTokens) =>
      checkEncoderContext({
        imageTokens: prefixTokens,
        textTokens: row.textIds.length,
        maxNewTokens,
        context,
      }),
    rowBytes: (row, maxNewTokens) =>
      2 * 4 * layers * heads * headDim * (prefixTokens + row.textIds.length + maxNewTokens),
    openBatch: () => stepBatch(steps),
  };
}
