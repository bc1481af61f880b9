// A model that writes: what it sees stands before the prompt, and the language model goes on from there.
// Blocks its thread while a graph runs.
import type { Generation } from "@blip2-edge/shared/contracts/generation";
import type { InferResult } from "@blip2-edge/shared/wire/protocol";
import type { GenerationManifest } from "../artifact/manifest.ts";
import type { Decoder } from "../generate/decoder.ts";
import { generate } from "../generate/generate.ts";
import {
  createRunningBatch,
  type GeneratedRow,
  type PreparedRow,
  prepareRow,
  type RunningBatch,
} from "../generate/running-batch.ts";
import type { FoundSequence } from "../generate/search.ts";
import { type FloatTensor, floatTensor } from "../tensor/tensor.ts";
import { createTokenizer, type Tokenizer } from "../tokenizers/tokenizer.ts";
import type { ModelParts, GraphOf } from "./model-parts.ts";
import { createOptDecoder } from "./opt-decoder.ts";
import type { Sight } from "./sight.ts";
import { createT5Decoder } from "./t5-decoder.ts";

export interface GenerateSettings {
  readonly signal?: AbortSignal;
}

/** One generation: what to look at, what stands before the answer, how to choose its tokens. */
export interface GenerateInput {
  /** f32 [queries, hidden] flat. */
  readonly projected: Float32Array;
  /** Null is the plain caption. */
  readonly text: string | null;
  readonly generation: Generation;
}

export interface ModelGeneration {
  /** In the order of the inputs. */
  readonly results: readonly InferResult[];
  readonly prefillMs: number;
  readonly decodeMs: number;
}

/** Keys are the names of the tensors in a trace file. */
export type Trace = Readonly<
  Record<"pixel_values" | "image_embeds" | "query_output" | "projected" | "logits", FloatTensor>
>;

export interface GenerationModel extends Sight {
  readonly kind: "generation";
  readonly manifest: GenerationManifest;
  readonly tokenizer: Tokenizer;
  /** Ids of a text after the image: null is the plain caption, the start token alone. */
  textIds(text: string | null): number[];
  /**
   * Generates for all inputs, whatever their images and parameters, as one batch or, when their beams and
   * samples are too many for one, as several. A result never depends on its neighbours. Errors:
   * `prompt_too_long`, `invalid_request`, the signal's reason between two steps.
   */
  generateBatch(
    inputs: readonly GenerateInput[],
    settings?: GenerateSettings,
  ): Promise<ModelGeneration>;
  /** generateBatch of several texts over one image under the same parameters. */
  generate(
    projected: Float32Array,
    texts: readonly (string | null)[],
    generation: Generation,
    settings?: GenerateSettings,
  ): Promise<ModelGeneration>;
  /** For a batch that others share. Errors: `prompt_too_long`, `invalid_request`. */
  prepare(input: GenerateInput): PreparedRow;
  /** An empty batch of this model: whoever opens one feeds it, one call at a time. */
  openBatch<Key>(): RunningBatch<Key>;
  /** What a request that left the batch is answered with. */
  resultOf(prepared: PreparedRow, generated: GeneratedRow): InferResult;
  /** Every tensor of one pass up to the scores of the first new token. */
  trace(rgb: Uint8Array, text: string | null): Promise<Trace>;
  close(): Promise<void>;
}

function createDecoder(manifest: GenerationManifest, graph: GraphOf): Decoder {
  switch (manifest.family) {
    case "opt":
      return createOptDecoder(graph("decoder"), manifest);
    case "t5":
      return createT5Decoder({ encoder: graph("encoder"), decoder: graph("decoder") }, manifest);
  }
}

export async function createGenerationModel(
  manifest: GenerationManifest,
  parts: ModelParts,
): Promise<GenerationModel> {
  const { qformer, tokens } = manifest;
  const { sight, close } = parts;
  const tokenizer = createTokenizer(parts.tokenizerFiles, tokens.image);
  const decoder = createDecoder(manifest, parts.graph);

  const textIds = (text: string | null): number[] =>
    text === null ? [tokens.bos] : tokenizer.encode(text);

  const rowOf = ({ projected, text, generation }: GenerateInput) => ({
    prefix: projected,
    textIds: textIds(text),
    generation,
  });
  const describeResult = (row: GeneratedRow, promptTokens: number): InferResult =>
    resultOf(tokenizer, row, {
      image_tokens: qformer.queries,
      prompt_tokens: promptTokens,
      completion_tokens: row.sequences.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0),
    });

  const generateTogether = async (
    inputs: readonly GenerateInput[],
    { signal }: GenerateSettings,
  ): Promise<ModelGeneration> => {
    const rows = inputs.map(rowOf);
    const generated = await generate(decoder, rows, {
      endIds: tokens.eos,
      ...(signal === undefined ? {} : { signal }),
    });
    const results = generated.rows.map((row, index) =>
      describeResult(row, rows[index]?.textIds.length ?? 0),
    );
    return { results, prefillMs: generated.prefillMs, decodeMs: generated.decodeMs };
  };
  const generateBatch: GenerationModel["generateBatch"] = async (inputs, settings = {}) => {
    const parts: ModelGeneration[] = [];
    for (const part of splitByRows(inputs)) parts.push(await generateTogether(part, settings));
    return {
      results: parts.flatMap(({ results }) => results),
      prefillMs: parts.reduce((sum, { prefillMs }) => sum + prefillMs, 0),
      decodeMs: parts.reduce((sum, { decodeMs }) => sum + decodeMs, 0),
    };
  };

  return {
    ...sight,
    kind: "generation",
    manifest,
    tokenizer,
    textIds,
    generateBatch,
    generate: (projected, texts, generation, settings) =>
      generateBatch(
        texts.map((text) => ({ projected, text, generation })),
        settings,
      ),
    prepare: (input) => prepareRow(decoder, rowOf(input)),
    openBatch: () => createRunningBatch(decoder, { endIds: tokens.eos }),
    resultOf: (prepared, generated) => describeResult(generated, prepared.row.textIds.length),
    async trace(rgb, text) {
      const pixel_values = sight.pixelValues(rgb);
      const image_embeds = await sight.vision(pixel_values);
      const { queryOutput, projected } = await sight.features(image_embeds);
      const logits = await decoder
        .openBatch()
        .join([{ prefix: projected.data, textIds: textIds(text) }]);
      return {
        pixel_values,
        image_embeds,
        query_output: queryOutput,
        projected,
        logits: floatTensor(logits, [1, decoder.vocab]),
      };
    },
    close,
  };
}

/** Rows of one decode batch at most: 64 sequences' keys and values are held at a time. */
const maxDecodeRows = 64;

/** Cuts the inputs, in their order, where their beams or samples would be more than a batch holds. */
function splitByRows(inputs: readonly GenerateInput[]): GenerateInput[][] {
  const parts: GenerateInput[][] = [[]];
  let rows = 0;
  for (const input of inputs) {
    const width = Math.max(input.generation.num_beams, input.generation.num_return_sequences);
    if (rows > 0 && rows + width > maxDecodeRows) {
      parts.push([]);
      rows = 0;
    }
    parts.at(-1)?.push(input);
    rows += width;
  }
  return parts;
}

function resultOf(
  tokenizer: Tokenizer,
  { sequences, notes }: GeneratedRow,
  usage: InferResult["usage"],
): InferResult {
  const said = ({ tokenIds, finishReason, logProb }: FoundSequence) => ({
    text: tokenizer.decode(tokenIds),
    token_ids: [...tokenIds],
    finish_reason: finishReason,
    log_prob: logProb,
  });
  return {
    ...said(sequences[0]),
    usage,
    ...(sequences.length === 1 ? {} : { sequences: sequences.map(said) }),
    ...(notes.length === 0 ? {} : { notes: [...notes] }),
  };
}
