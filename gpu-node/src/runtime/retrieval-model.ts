// A model that compares: how well texts fit a picture, and the vectors by which both are found again.
// ITM reads picture and text together, ITC compares what each became alone. Blocks its thread while a
// graph runs.
import { AppError } from "@blip2-edge/shared/problem";
import type { Calibration } from "@blip2-edge/shared/wire/calibration";
import type { RetrievalManifest } from "../artifact/manifest.ts";
import { type FloatTensor, floatTensor } from "../tensor/tensor.ts";
import { createTokenizer, type Tokenizer } from "../tokenizers/tokenizer.ts";
import { output } from "./decoder-tensors.ts";
import type { ModelParts } from "./model-parts.ts";
import type { Seen, Sight } from "./sight.ts";
import { inBatches } from "./text-batches.ts";

export type Score = "itm" | "itc";

/** How well one text fits the picture, by each score that was asked for. */
export interface TextMatch {
  /** The probability that the text describes the picture. */
  readonly itm?: number;
  /** The best cosine of a query vector with the text's vector. */
  readonly itc?: number;
}

export interface TextFeatures {
  /** f32 [tokens, hidden]: the Q-Former's raw output. */
  readonly textOutput: FloatTensor;
  /** f32 [dim], of length 1. */
  readonly projected: FloatTensor;
}

export interface RetrievalSettings {
  readonly signal?: AbortSignal;
  /** Longer texts are cut to so many tokens, the closing one kept; without it they are read whole. */
  readonly maxTokens?: number;
}

/** ITM's raw scores of one text, means over the queries. */
export type MatchLogits = readonly [no: number, yes: number];

/** Of one picture, what the scores need: ITM the first, ITC the second. */
export type Picture = Partial<Pick<Seen, "imageEmbeds" | "projected">>;

export interface RetrievalModel extends Sight {
  readonly kind: "retrieval";
  readonly manifest: RetrievalManifest;
  /** What lies beside the artifact; undefined: nobody has measured it. */
  readonly calibration?: Calibration | undefined;
  readonly tokenizer: Tokenizer;
  /** Ids of a text. Errors: `prompt_too_long`, `invalid_request` for a text that has none. */
  textIds(text: string): number[];
  /** In the order of the texts; a result never depends on its neighbours. Errors: as `textIds`. */
  match(
    picture: Picture,
    texts: readonly string[],
    scores: readonly Score[],
    settings?: RetrievalSettings,
  ): Promise<readonly TextMatch[]>;
  /** What `match` makes ITM's probability of, in the order of the texts. Errors: as `textIds`. */
  matchLogits(
    imageEmbeds: FloatTensor,
    texts: readonly string[],
    settings?: RetrievalSettings,
  ): Promise<readonly MatchLogits[]>;
  /** In the order of the texts. Errors: as `textIds`. */
  embedTexts(
    texts: readonly string[],
    settings?: RetrievalSettings,
  ): Promise<readonly TextFeatures[]>;
  /** Every tensor of one pass; `text` adds its own and the scores. Keys are the names in a trace file. */
  trace(rgb: Uint8Array, text: string | null): Promise<Readonly<Record<string, FloatTensor>>>;
  close(): Promise<void>;
}

/** The largest dot product of a vector of `queries` [queries, dim] with `text` [dim]. */
function bestCosine(queries: Float32Array, text: Float32Array): number {
  const dim = text.length;
  let best = -Infinity;
  for (let start = 0; start < queries.length; start += dim) {
    let dot = 0;
    for (let at = 0; at < dim; at += 1) dot += queries[start + at]! * text[at]!;
    best = Math.max(best, dot);
  }
  return best;
}

/** Softmax of [does not match, matches], the second. */
const matchProbability = (no: number, yes: number): number => 1 / (1 + Math.exp(no - yes));

export async function createRetrievalModel(
  manifest: RetrievalManifest,
  parts: ModelParts,
): Promise<RetrievalModel> {
  const { qformer, text: sizes, tokens } = manifest;
  const { sight, close } = parts;
  const tokenizer = createTokenizer(parts.tokenizerFiles, tokens.image);
  const text = parts.graph("text");
  const itm = parts.graph("itm");
  const { pad } = tokens;

  // A tokenizer puts one special before every text and, BERT's, one behind it.
  const closing = tokenizer.encode("").slice(1);
  const cut = (ids: number[], maxTokens: number | undefined): number[] =>
    maxTokens === undefined || ids.length <= maxTokens
      ? ids
      : [...ids.slice(0, maxTokens - closing.length), ...closing];

  const textIds = (given: string, maxTokens?: number): number[] => {
    const ids = cut(tokenizer.encode(given), maxTokens);
    if (ids.length === 0) throw new AppError("invalid_request", "A text is empty.");
    if (ids.length > sizes.context) {
      throw new AppError(
        "prompt_too_long",
        `The text takes ${ids.length} tokens; this model reads at most ${sizes.context}. Shorten it.`,
      );
    }
    if (ids.some((id) => id >= sizes.vocab)) {
      throw new AppError(
        "invalid_request",
        "The text holds a special token of the tokenizer that the model does not know; leave it out.",
      );
    }
    return ids;
  };

  const readTexts = (
    ids: readonly (readonly number[])[],
    signal: AbortSignal | undefined,
  ): Promise<readonly TextFeatures[]> =>
    inBatches(
      ids,
      { pad, extra: 0 },
      async (batch) => {
        const outputs = await text.run({
          input_ids: batch.inputIds,
          attention_mask: batch.attentionMask,
        });
        const hidden = output(outputs, "text_output");
        const projected = output(outputs, "projected");
        const rowSize = hidden.data.length / batch.lengths.length;
        return batch.lengths.map((length, row) => {
          const start = row * rowSize;
          return {
            // Copies: a view would keep its whole batch in memory.
            textOutput: floatTensor(hidden.data.slice(start, start + length * qformer.hidden), [
              length,
              qformer.hidden,
            ]),
            projected: floatTensor(projected.data.slice(row * sizes.dim, (row + 1) * sizes.dim), [
              sizes.dim,
            ]),
          };
        });
      },
      signal,
    );

  /** [does not match, matches] of each text. */
  const matchTexts = (
    imageEmbeds: FloatTensor,
    ids: readonly (readonly number[])[],
    signal: AbortSignal | undefined,
  ): Promise<readonly MatchLogits[]> =>
    inBatches(
      ids,
      { pad, extra: qformer.queries },
      async (batch) => {
        const outputs = await itm.run({
          image_embeds: imageEmbeds,
          input_ids: batch.inputIds,
          attention_mask: batch.attentionMask,
        });
        const { data } = output(outputs, "logits"); // [rows, 2]
        return batch.lengths.map((_, row): MatchLogits => [
          data[2 * row] ?? NaN,
          data[2 * row + 1] ?? NaN,
        ]);
      },
      signal,
    );

  const needed = <T>(tensor: T | undefined, name: string): T => {
    if (tensor === undefined) throw new Error(`the score needs the picture's ${name}`);
    return tensor;
  };

  return {
    ...sight,
    kind: "retrieval",
    manifest,
    tokenizer,
    textIds: (given) => textIds(given),
    async match(picture, texts, scores, { signal, maxTokens } = {}) {
      const ids = texts.map((each) => textIds(each, maxTokens));
      const itc = scores.includes("itc")
        ? (await readTexts(ids, signal)).map(({ projected }) =>
            bestCosine(needed(picture.projected, "query vectors").data, projected.data),
          )
        : undefined;
      const logits = scores.includes("itm")
        ? await matchTexts(needed(picture.imageEmbeds, "image_embeds"), ids, signal)
        : undefined;
      return texts.map((_, at) => {
        const pair = logits?.[at];
        const cosine = itc?.[at];
        return {
          ...(pair === undefined ? {} : { itm: matchProbability(...pair) }),
          ...(cosine === undefined ? {} : { itc: cosine }),
        };
      });
    },
    matchLogits: async (imageEmbeds, texts, { signal, maxTokens } = {}) =>
      matchTexts(
        imageEmbeds,
        texts.map((each) => textIds(each, maxTokens)),
        signal,
      ),
    embedTexts: async (texts, { signal, maxTokens } = {}) =>
      readTexts(
        texts.map((each) => textIds(each, maxTokens)),
        signal,
      ),
    async trace(rgb, given) {
      const pixel_values = sight.pixelValues(rgb);
      const image_embeds = await sight.vision(pixel_values);
      const { queryOutput: query_output, projected } = await sight.features(image_embeds);
      const seen = { pixel_values, image_embeds, query_output, projected };
      if (given === null) return seen;
      const ids = [textIds(given)];
      const [read] = await readTexts(ids, undefined);
      const [logits] = await matchTexts(image_embeds, ids, undefined);
      if (read === undefined || logits === undefined) throw new Error("a text has no result");
      return {
        ...seen,
        text_output: floatTensor(read.textOutput.data, [1, ...read.textOutput.dims]),
        text_projected: floatTensor(read.projected.data, [1, ...read.projected.dims]),
        itm_logits: floatTensor(Float32Array.of(...logits), [1, 2]),
        itm: floatTensor(Float32Array.of(matchProbability(...logits)), [1]),
      };
    },
    close,
  };
}
