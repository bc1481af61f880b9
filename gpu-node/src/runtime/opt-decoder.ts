// The OPT decoder graph behind generate/decoder: batches prompts of unequal length by left padding, and
// carries keys, values, mask and positions from step to step. The pads stand between the image block
// and the text, as the reference's processor puts them; mask and positions make them harmless.
import type { Decoder, PromptRow } from "../generate/decoder.ts";
import { type FloatTensor, floatTensor, intTensor, selectRows } from "../tensor/tensor.ts";
import type { Session } from "./ort.ts";

export interface OptDecoderShape {
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly context: number;
  readonly prefixTokens: number;
  readonly padId: number;
}

/** Everything between two steps; rows of all parts are in one order. */
export interface OptState {
  /** Named as the graph's inputs; each f32 [rows, heads, past, headDim]. */
  readonly past: Readonly<Record<string, FloatTensor>>;
  /** Per row: 1 where a real position stands, 0 at a pad. Length past. */
  readonly masks: readonly (readonly bigint[])[];
  /** Per row: real positions so far, which is the next position id. */
  readonly lengths: readonly number[];
}

const pastNames = (layers: number): string[] =>
  Array.from({ length: layers }, (_, layer) => layer).flatMap((layer) => [
    `past_key_values.${layer}.key`,
    `past_key_values.${layer}.value`,
  ]);

/** past_key_values.0.key -> present.0.key */
const presentName = (past: string): string => past.replace("past_key_values", "present");

export function createOptDecoder(session: Session, shape: OptDecoderShape): Decoder<OptState> {
  const names = pastNames(shape.layers);

  const run = async (
    prefix: FloatTensor,
    ids: readonly (readonly number[])[],
    positions: readonly (readonly number[])[],
    state: OptState,
  ) => {
    const rows = ids.length;
    const tokens = ids[0]?.length ?? 0;
    const steps = positions[0]?.length ?? 0;
    const total = state.masks[0]?.length ?? 0;
    const outputs = await session.run({
      ...state.past,
      input_ids: intTensor(BigInt64Array.from(ids.flat(), BigInt), [rows, tokens]),
      prefix_embeds: prefix,
      attention_mask: intTensor(BigInt64Array.from(state.masks.flat()), [rows, total]),
      position_ids: intTensor(BigInt64Array.from(positions.flat(), BigInt), [rows, steps]),
    });
    const output = (name: string): FloatTensor => {
      const tensor = outputs[name];
      if (tensor === undefined) throw new Error(`the decoder graph has no output ${name}`);
      return tensor;
    };
    const past = Object.fromEntries(names.map((name) => [name, output(presentName(name))]));
    return {
      logits: output("logits").data, // [rows, vocab]
      state: { past, masks: state.masks, lengths: state.lengths },
    };
  };

  return {
    vocab: shape.vocab,
    context: shape.context,

    async prefill(rows: readonly PromptRow[]) {
      const { prefixTokens, hidden } = shape;
      const textLength = Math.max(...rows.map((row) => row.textIds.length));
      const prefix = new Float32Array(rows.length * prefixTokens * hidden);
      rows.forEach((row, index) => prefix.set(row.prefix, index * prefixTokens * hidden));
      const pads = rows.map((row) => textLength - row.textIds.length);
      const ids = rows.map((row, index) => [
        ...Array.from({ length: pads[index] ?? 0 }, () => shape.padId),
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
      const empty = floatTensor(new Float32Array(0), [rows.length, shape.heads, 0, shape.headDim]);
      return run(floatTensor(prefix, [rows.length, prefixTokens, hidden]), ids, positions, {
        past: Object.fromEntries(names.map((name) => [name, empty])),
        masks,
        lengths: rows.map((row) => prefixTokens + row.textIds.length),
      });
    },

    decodeStep: (state, ids) =>
      run(
        floatTensor(new Float32Array(0), [ids.length, 0, shape.hidden]),
        ids.map((id) => [id]),
        state.lengths.map((length) => [length]),
        {
          past: state.past,
          masks: state.masks.map((mask) => [...mask, 1n]),
          lengths: state.lengths.map((length) => length + 1),
        },
      ),

    selectRows(state, chosen) {
      const pick = <T>(items: readonly T[]): T[] =>
        chosen.map((row) => {
          const item = items[row];
          if (item === undefined) throw new RangeError(`row ${row} of ${items.length}`);
          return item;
        });
      return {
        past: Object.fromEntries(
          Object.entries(state.past).map(([name, tensor]) => [name, selectRows(tensor, chosen)]),
        ),
        masks: pick(state.masks),
        lengths: pick(state.lengths),
      };
    },
  };
}
