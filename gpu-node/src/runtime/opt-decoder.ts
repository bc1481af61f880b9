// The OPT decoder graph behind generate/decoder: batches prompts of unequal length by left padding, and
// carries keys, values, mask and positions from step to step. The pads stand between the image block
// and the text, as the reference's processor puts them; mask and positions make them harmless.
import type { OptManifest } from "../artifact/manifest.ts";
import { checkContext } from "../generate/context-limit.ts";
import type { Decoder, PromptRow } from "../generate/decoder.ts";
import { stepBatch, type StepDecoder } from "./step-batch.ts";
import {
  type FloatTensor,
  floatTensor,
  idTensor,
  intTensor,
  selectItems,
} from "../tensor/tensor.ts";
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

/** Everything between two steps; rows of all parts are in one order. */
export interface OptState {
  /** Named as the graph's inputs; each f32 [rows, heads, past, headDim]. */
  readonly past: Cache;
  /** Per row: 1 where a real position stands, 0 at a pad. Length past. */
  readonly masks: readonly (readonly bigint[])[];
  /** Per row: real positions so far, which is the next position id. */
  readonly lengths: readonly number[];
}

/** What of the manifest describes the decoder. */
export type OptDecoderShape = Pick<OptManifest, "decoder" | "qformer" | "tokens">;

export function createOptDecoder(session: Session, shape: OptDecoderShape): Decoder {
  const { layers, heads, head_dim: headDim, hidden, vocab, context } = shape.decoder;
  const { queries: prefixTokens } = shape.qformer;
  const names = cacheNames(layers);
  const placeholders = Array.from({ length: prefixTokens }, () => shape.tokens.image);

  const run = async (
    prefix: FloatTensor,
    ids: readonly (readonly number[])[],
    positions: readonly (readonly number[])[],
    state: OptState,
  ) => {
    const total = state.masks[0]?.length ?? 0;
    const outputs = await session.run({
      ...state.past,
      input_ids: idTensor(ids),
      prefix_embeds: prefix,
      attention_mask: intTensor(BigInt64Array.from(state.masks.flat()), [ids.length, total]),
      position_ids: idTensor(positions),
    });
    return {
      logits: output(outputs, "logits").data, // [rows, vocab]
      state: { ...state, past: readCache(outputs, names, presentName) },
    };
  };

  const steps: StepDecoder<OptState> = {
    vocab,
    endIds: shape.tokens.eos,
    async prefill(rows: readonly PromptRow[]) {
      const textLength = Math.max(...rows.map((row) => row.textIds.length));
      const pads = rows.map((row) => textLength - row.textIds.length);
      const ids = rows.map((row, index) => [
        ...Array.from({ length: pads[index] ?? 0 }, () => shape.tokens.pad),
        ...row.textIds,
      ]);
      const masks = pads.map((pad) =>
        Array.from({ length: prefixTokens + textLength }, (_, at) =>
          at < prefixTokens || at >= prefixTokens + pad ? 1n : 0n,
        ),
      );
      // Real positions count up across the gap; the pads' own value is never looked at.
      const positions = pads.map((pad) =>
        Array.from({ length: prefixTokens + textLength }, (_, at) =>
          at < prefixTokens ? at : Math.max(at - pad, 0),
        ),
      );
      return run(prefixTensor(rows, prefixTokens, hidden), ids, positions, {
        past: emptyCache(names, { rows: rows.length, heads, headDim }),
        masks,
        lengths: rows.map((row) => prefixTokens + row.textIds.length),
      });
    },

    decodeStep: (state, ids) =>
      run(
        floatTensor(new Float32Array(0), [ids.length, 0, hidden]),
        ids.map((id) => [id]),
        state.lengths.map((length) => [length]),
        {
          past: state.past,
          masks: state.masks.map((mask) => [...mask, 1n]),
          lengths: state.lengths.map((length) => length + 1),
        },
      ),

    selectRows: (state, chosen) => ({
      past: selectCacheRows(state.past, chosen),
      masks: selectItems(state.masks, chosen),
      lengths: selectItems(state.lengths, chosen),
    }),
  };
  return {
    vocab,
    promptIds: (row) => [...placeholders, ...row.textIds],
    checkContext: (row, maxNewTokens) =>
      checkContext({
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
