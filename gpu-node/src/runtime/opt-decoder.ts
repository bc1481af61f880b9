// The OPT decoder graph behind generate/decoder. Prompts of unequal length are padded on the right, where no
// real position can see the pads; between two runs keys, values and lengths stand in a cache of our own.
import type { OptManifest } from "../artifact/manifest.ts";
import { checkContext } from "../generate/context-limit.ts";
import type { DecodeBatch, Decoder, PromptRow } from "../generate/decoder.ts";
import { type FloatTensor, floatTensor, idTensor, idVector } from "../tensor/tensor.ts";
import { cacheNames, decoderCacheType, prefixTensor } from "./decoder-tensors.ts";
import { createKvCache, numberBytes } from "./kv-cache.ts";
import type { Session } from "./ort.ts";
import { readRun, runAndStep } from "./read-run.ts";

/** What of the manifest describes the decoder. */
export type OptDecoderShape = Pick<OptManifest, "decoder" | "qformer" | "tokens" | "precision">;

export function createOptDecoder(session: Session, shape: OptDecoderShape): Decoder {
  const { layers, heads, head_dim: headDim, hidden, vocab, context } = shape.decoder;
  const { queries: prefixTokens } = shape.qformer;
  const names = cacheNames(layers);
  const cacheType = decoderCacheType(shape);
  const placeholders = Array.from({ length: prefixTokens }, () => shape.tokens.image);
  const noPrefix = (rows: number): FloatTensor =>
    floatTensor(new Float32Array(0), [rows, 0, hidden]);
  const promptLength = ({ textIds }: PromptRow): number => prefixTokens + textIds.length;

  const openBatch = (): DecodeBatch => {
    const cache = createKvCache({ names, heads, headDim, type: cacheType });

    const run = async (ids: readonly number[], steps: number, heldBack: readonly number[]) => {
      const made = readRun(
        await session.run({
          ...cache.tensors(),
          input_ids: idTensor(ids.map((id) => [id])),
          prefix_embeds: noPrefix(ids.length),
          position_ids: idTensor(cache.lengths.map((length) => [length])),
          last: idVector(ids.map(() => 0)),
          past_lengths: idVector(cache.lengths),
          steps: idVector(steps),
          held_back: idVector(heldBack),
        }),
        cacheType,
      );
      cache.extend(made.steps, made.fresh);
      made.releaseFresh();
      return made;
    };

    return {
      get rows() {
        return cache.rows;
      },
      get bytes() {
        return cache.bytes;
      },
      async join(prompts) {
        const longest = Math.max(...prompts.map(({ textIds }) => textIds.length));
        const places = Array.from({ length: longest }, (_, at) => at);
        const lengths = prompts.map(promptLength);
        const positions = Array.from({ length: prefixTokens + longest }, (_, at) => at);
        const made = readRun(
          await session.run({
            ...cache.emptyTensors(prompts.length),
            input_ids: idTensor(
              prompts.map(({ textIds }) => places.map((at) => textIds[at] ?? shape.tokens.pad)),
            ),
            prefix_embeds: prefixTensor(prompts, prefixTokens, hidden),
            position_ids: idTensor(prompts.map(() => positions)),
            last: idVector(lengths.map((length) => length - 1)),
            past_lengths: idVector(prompts.map(() => 0)),
            steps: idVector(1),
            held_back: idVector(prompts.map(() => 0)),
          }),
          cacheType,
        );
        cache.addRows(lengths, made.fresh);
        made.releaseFresh();
        return made.logits;
      },
      ...runAndStep(run),
      select: (rows) => cache.select(rows),
    };
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
      numberBytes(cacheType) * names.length * heads * headDim * (promptLength(row) + maxNewTokens),
    openBatch,
  };
}
