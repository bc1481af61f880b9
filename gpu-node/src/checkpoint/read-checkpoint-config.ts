// A checkpoint folder's JSON files -> the frozen Blip2Config and the tokenizer's bytes.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { Blip2Config, ImageConfig } from "./config.ts";
import { readJsonFile, readSmallFile } from "./json-file.ts";
import { type ModelConfig, parseModelConfig } from "./read-config.ts";
import { parsePreprocessor } from "./read-preprocessor.ts";

export const tokenizerFiles = {
  tokenizer: "tokenizer.json",
  config: "tokenizer_config.json",
} as const;

export interface CheckpointConfig {
  readonly config: Blip2Config;
  /** The tokenizer's files as they are, copied into the artifact. */
  readonly tokenizer: Readonly<Record<keyof typeof tokenizerFiles, Uint8Array>>;
}

const addedTokensSchema = z.object({
  added_tokens: z.array(z.object({ id: z.int(), content: z.string() })).default([]),
});

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}

async function readRequired(folder: string, file: string, signal?: AbortSignal) {
  const bytes = await readSmallFile(join(folder, file), signal);
  if (bytes === undefined) {
    throw new AppError("checkpoint_invalid", `${folder} has no ${file}. Finish the download.`);
  }
  return bytes;
}

/** As `readRequired`; what is copied into an artifact must at least be JSON. */
async function readTokenizerFile(folder: string, file: string, signal?: AbortSignal) {
  await readJsonFile(join(folder, file), signal);
  return readRequired(folder, file, signal);
}

/** The id of `<image>` in tokenizer.json, for a config.json that does not name it. */
function findImageToken(tokenizer: unknown): number {
  const parsed = addedTokensSchema.safeParse(tokenizer);
  const found = parsed.success
    ? parsed.data.added_tokens.find(({ content }) => content === "<image>")
    : undefined;
  if (found === undefined) {
    throw new AppError(
      "checkpoint_invalid",
      "config.json has no image_token_index and tokenizer.json has no <image> token: where the picture goes is not known.",
    );
  }
  return found.id;
}

/** `findToken` is asked for a placeholder that the model needs and config.json does not name. */
async function completeConfig(
  model: ModelConfig,
  image: ImageConfig,
  findToken: () => Promise<number>,
): Promise<Blip2Config> {
  if (model.family === "retrieval") return { ...model, image };
  const placeholder = model.tokens.image ?? (await findToken());
  return model.family === "opt"
    ? { ...model, tokens: { ...model.tokens, image: placeholder }, image }
    : { ...model, tokens: { ...model.tokens, image: placeholder }, image };
}

/** Errors: `checkpoint_invalid` naming file and field. */
export async function readCheckpointConfig(
  folder: string,
  signal?: AbortSignal,
): Promise<CheckpointConfig> {
  const entry = await stat(folder).catch(() => undefined);
  if (entry?.isDirectory() !== true) {
    throw new AppError(
      "checkpoint_invalid",
      `${folder} is not a folder. Give the folder that holds config.json.`,
    );
  }
  const json = (file: string) => readJsonFile(join(folder, file), signal);
  const raw = await json("config.json");
  if (raw === undefined) {
    throw new AppError(
      "checkpoint_invalid",
      `${folder} has no config.json. Give the folder of a checkpoint in Hugging Face's layout.`,
    );
  }
  const model = parseModelConfig(raw);
  const image = parsePreprocessor(
    {
      preprocessor: await json("preprocessor_config.json"),
      processor: await json("processor_config.json"),
    },
    { imageSize: model.vision.imageSize, queries: model.qformer.queries },
  );
  const tokenizer = {
    tokenizer: await readTokenizerFile(folder, tokenizerFiles.tokenizer, signal),
    config: await readTokenizerFile(folder, tokenizerFiles.config, signal),
  };
  const findToken = async () => findImageToken(await json(tokenizerFiles.tokenizer));
  return { config: deepFreeze(await completeConfig(model, image, findToken)), tokenizer };
}
