// The T5 graphs behind generate/decoder. A prompt goes through the encoder, together with its image and padded on
// the right, which leaves the keys and values of the cross attention; the decoder begins with its start token.
import type { T5Manifest } from "../artifact/manifest.ts";
import { checkEncoderContext } from "../generate/context-limit.ts";
import type { DecodeBatch, Decoder, PromptRow } from "../generate/decoder.ts";
import { type CacheTensor, idTensor, idVector } from "../tensor/tensor.ts";
import { cacheNames, cacheOutput, decoderCacheType, prefixTensor } from "./decoder-tensors.ts";
import { createKvCache, numberBytes } from "./kv-cache.ts";
import type { Session } from "./ort.ts";
import { readRun, runAndStep } from "./read-run.ts";

/** What of the manifest describes encoder and decoder. */
export type T5DecoderShape = Pick<T5Manifest, "decoder" | "qformer" | "tokens" | "precision">;

export function createT5Decoder(
  graphs: { readonly encoder: Session; readonly decoder: Session },
  shape: T5DecoderShape,
): Decoder {
  const { layers, heads, head_dim: headDim, hidden, vocab, context } = shape.decoder;
  const { queries: prefixTokens } = shape.qformer;
  const { pad, start } = shape.tokens;
  const pastNames = cacheNames(layers, "decoder");
  const crossNames = cacheNames(layers, "encoder");
  const cacheType = decoderCacheType(shape);
  const sourceLength = ({ textIds }: PromptRow): number => prefixTokens + textIds.length;

  /** Gives each name's [prompts, heads, source, headDim]. */
  const encode = async (prompts: readonly PromptRow[]): Promise<(name: string) => CacheTensor> => {
    const longest = Math.max(...prompts.map(({ textIds }) => textIds.length));
    const places = Array.from({ length: longest }, (_, at) => at);
    const outputs = await graphs.encoder.run({
      input_ids: idTensor(prompts.map(({ textIds }) => places.map((at) => textIds[at] ?? pad))),
      prefix_embeds: prefixTensor(prompts, prefixTokens, hidden),
      attention_mask: maskOf(prompts.map(sourceLength), prefixTokens + longest),
    });
    return (name) => cacheOutput(outputs, name, cacheType);
  };

  const openBatch = (): DecodeBatch => {
    const cache = createKvCache({ names: pastNames, heads, headDim, type: cacheType });
    const cross = createKvCache({ names: crossNames, heads, headDim, type: cacheType });

    const run = async (ids: readonly number[], steps: number, heldBack: readonly number[]) => {
      const source = cross.tensors();
      const made = readRun(
        await graphs.decoder.run({
          ...cache.tensors(),
          ...source,
          input_ids: idTensor(ids.map((id) => [id])),
          encoder_attention_mask: maskOf(cross.lengths, sourceSize(source)),
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
        return cache.bytes + cross.bytes;
      },
      async join(prompts) {
        const lengths = prompts.map(sourceLength);
        const encoded = await encode(prompts);
        const source = Object.fromEntries(crossNames.map((name) => [name, encoded(name)]));
        const nothing = prompts.map(() => 0);
        const made = readRun(
          await graphs.decoder.run({
            ...cache.emptyTensors(prompts.length),
            ...source,
            input_ids: idTensor(prompts.map(() => [start])),
            encoder_attention_mask: maskOf(lengths, sourceSize(source)),
            past_lengths: idVector(nothing),
            steps: idVector(1),
            held_back: idVector(nothing),
          }),
          cacheType,
        );
        cross.addRows(lengths, encoded);
        cache.addRows(
          prompts.map(() => 1),
          made.fresh,
        );
        made.releaseFresh();
        return made.logits;
      },
      ...runAndStep(run),
      select(rows) {
        cache.select(rows);
        cross.select(rows);
      },
    };
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
      numberBytes(cacheType) *
      pastNames.length *
      heads *
      headDim *
      (sourceLength(row) + 1 + maxNewTokens),
    openBatch,
  };
}

/** Positions that the cross attention is shown. */
const sourceSize = (source: Readonly<Record<string, CacheTensor>>): number =>
  Object.values(source)[0]?.dims[2] ?? 0;

/** 1 where a row has a position: i64 [rows, size]. */
const maskOf = (lengths: readonly number[], size: number) =>
  idTensor(lengths.map((length) => Array.from({ length: size }, (_, at) => (at < length ? 1 : 0))));
