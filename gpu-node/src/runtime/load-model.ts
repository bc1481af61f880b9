// An artifact folder, opened: sessions, tokenizer and pixel values of one model behind one object. Used
// in process by the command line and by the engine process. Blocks its thread while a graph runs.
import type { Generation } from "@blip2-edge/shared/contracts/generation";
import { AppError } from "@blip2-edge/shared/problem";
import type { InferResult } from "@blip2-edge/shared/wire/protocol";
import { readFile } from "node:fs/promises";
import type { Manifest } from "../artifact/manifest.ts";
import { openArtifact } from "../artifact/open-artifact.ts";
import { usesHalves } from "../artifact/precision.ts";
import type { Decoder } from "../generate/decoder.ts";
import { generate, type GeneratedRow } from "../generate/generate.ts";
import type { FoundSequence } from "../generate/search.ts";
import { createPixelValues } from "../tensor/pixel-values.ts";
import { type FloatTensor, floatTensor } from "../tensor/tensor.ts";
import { createTokenizer, type Tokenizer } from "../tokenizers/tokenizer.ts";
import { output } from "./decoder-tensors.ts";
import { createOptDecoder } from "./opt-decoder.ts";
import { openSession, type Session } from "./ort.ts";
import { createT5Decoder } from "./t5-decoder.ts";

export interface LoadOptions {
  /** Threads of one operator; 0 (the default) takes the physical cores. */
  readonly threads?: number;
  /** Execution provider by ONNX Runtime's name. Default `cpu`, the only one claimed. */
  readonly provider?: string;
  readonly signal?: AbortSignal;
}

/** What the Q-Former made of one image or several. */
export interface Features {
  /** f32 [batch, queries, qformerHidden] */
  readonly queryOutput: FloatTensor;
  /** f32 [batch, queries, hidden]: what the language model reads. */
  readonly projected: FloatTensor;
}

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

export interface Model {
  readonly manifest: Manifest;
  readonly tokenizer: Tokenizer;
  /** u8 [S, S, 3] -> f32 [1, 3, S, S] */
  pixelValues(rgb: Uint8Array): FloatTensor;
  /** f32 [batch, 3, S, S] -> image_embeds f32 [batch, patches + 1, visionHidden] */
  vision(pixelValues: FloatTensor): Promise<FloatTensor>;
  features(imageEmbeds: FloatTensor): Promise<Features>;
  /** One vision pass over one canonical image. */
  lookAt(rgb: Uint8Array): Promise<Features>;
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
  /** Every tensor of one pass up to the scores of the first new token. */
  trace(rgb: Uint8Array, text: string | null): Promise<Trace>;
  close(): Promise<void>;
}

/**
 * Errors: `artifact_invalid` for a folder, graph or tokenizer that cannot be used; `usage` for a
 * provider that is not available.
 */
export async function loadModel(artifactDir: string, options: LoadOptions = {}): Promise<Model> {
  const { threads = 0, provider = "cpu", signal } = options;
  const artifact = await openArtifact(artifactDir);
  const { manifest } = artifact;
  const json = async (file: string): Promise<unknown> => {
    try {
      return JSON.parse(await readFile(artifact.path(file), { encoding: "utf8", signal }));
    } catch (cause) {
      signal?.throwIfAborted();
      throw new AppError("artifact_invalid", `The artifact's ${file} cannot be read.`, { cause });
    }
  };
  const tokenizer = createTokenizer(
    {
      tokenizer: await json(manifest.tokenizer.tokenizer),
      config: await json(manifest.tokenizer.config),
    },
    manifest.tokens.image,
  );

  const sessions: Session[] = [];
  const open: OpenGraph = async (part, { file }) => {
    signal?.throwIfAborted();
    const halfWeights = usesHalves(manifest.precision, part);
    const session = await openSession(artifact.path(file), { threads, provider, halfWeights });
    sessions.push(session);
    return session;
  };
  const close = async (): Promise<void> => {
    await Promise.all(sessions.map((session) => session.release()));
  };
  try {
    const towers = {
      vision: await open("vision", manifest.graphs.vision),
      qformer: await open("qformer", manifest.graphs.qformer),
    };
    const decoder = await openDecoder(manifest, open);
    return assemble(manifest, tokenizer, towers, decoder, close);
  } catch (error) {
    await close();
    throw error;
  }
}

type OpenGraph = (part: string, graph: { readonly file: string }) => Promise<Session>;

async function openDecoder(manifest: Manifest, open: OpenGraph): Promise<Decoder<unknown>> {
  switch (manifest.family) {
    case "opt":
      return createOptDecoder(await open("decoder", manifest.graphs.decoder), manifest);
    case "t5": {
      const encoder = await open("encoder", manifest.graphs.encoder);
      const decoder = await open("decoder", manifest.graphs.decoder);
      return createT5Decoder({ encoder, decoder }, manifest);
    }
  }
}

function assemble(
  manifest: Manifest,
  tokenizer: Tokenizer,
  towers: Readonly<Record<"vision" | "qformer", Session>>,
  decoder: Decoder<unknown>,
  close: () => Promise<void>,
): Model {
  const { qformer, tokens } = manifest;
  const pixelValues = createPixelValues(manifest.image);

  const vision = async (input: FloatTensor): Promise<FloatTensor> =>
    output(await towers.vision.run({ pixel_values: input }), "image_embeds");
  const features = async (imageEmbeds: FloatTensor): Promise<Features> => {
    const outputs = await towers.qformer.run({ image_embeds: imageEmbeds });
    return {
      queryOutput: output(outputs, "query_output"),
      projected: output(outputs, "projected"),
    };
  };
  const textIds = (text: string | null): number[] =>
    text === null ? [tokens.bos] : tokenizer.encode(text);

  const generateTogether = async (
    inputs: readonly GenerateInput[],
    { signal }: GenerateSettings,
  ): Promise<ModelGeneration> => {
    const rows = inputs.map(({ projected, text, generation }) => ({
      prefix: projected,
      textIds: textIds(text),
      generation,
    }));
    const generated = await generate(decoder, rows, {
      endIds: tokens.eos,
      ...(signal === undefined ? {} : { signal }),
    });
    const results = generated.rows.map((row, index) =>
      resultOf(tokenizer, row, {
        image_tokens: qformer.queries,
        prompt_tokens: rows[index]?.textIds.length ?? 0,
        completion_tokens: row.sequences.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0),
      }),
    );
    return { results, prefillMs: generated.prefillMs, decodeMs: generated.decodeMs };
  };
  const generateBatch: Model["generateBatch"] = async (inputs, settings = {}) => {
    const parts: ModelGeneration[] = [];
    for (const part of splitByRows(inputs)) parts.push(await generateTogether(part, settings));
    return {
      results: parts.flatMap(({ results }) => results),
      prefillMs: parts.reduce((sum, { prefillMs }) => sum + prefillMs, 0),
      decodeMs: parts.reduce((sum, { decodeMs }) => sum + decodeMs, 0),
    };
  };

  return {
    manifest,
    tokenizer,
    pixelValues,
    vision,
    features,
    lookAt: async (rgb) => features(await vision(pixelValues(rgb))),
    textIds,
    generateBatch,
    generate: (projected, texts, generation, settings) =>
      generateBatch(
        texts.map((text) => ({ projected, text, generation })),
        settings,
      ),
    async trace(rgb, text) {
      const pixel_values = pixelValues(rgb);
      const image_embeds = await vision(pixel_values);
      const { queryOutput, projected } = await features(image_embeds);
      const { logits } = await decoder.prefill([
        { prefix: projected.data, textIds: textIds(text) },
      ]);
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
