// Which files of a repository make a checkpoint, and which names of files are believed. Weights are
// safetensors: pickled ones are never fetched, because loading a pickle can run code.
import { AppError } from "@blip2-edge/shared/problem";

export const configFile = "config.json";
export const weightsFile = "model.safetensors";
export const indexFile = "model.safetensors.index.json";
export const pickledFiles = ["pytorch_model.bin.index.json", "pytorch_model.bin"] as const;

/** What generation and retrieval repositories hold beside config and weights; none has all of them. */
export const companionFiles = [
  "generation_config.json",
  "preprocessor_config.json",
  "processor_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "vocab.txt",
  "spiece.model",
] as const;

/** Larger than any of the companions or an index (a tokenizer is a few MB). */
export const maxCompanionBytes = 64 * 1024 * 1024;

const maxShards = 1000;

/** Shard names come from a file that anyone may have written: plain names in the same folder only. */
const isShardName = (name: string): boolean =>
  /^\w[\w.-]*\.safetensors$/.test(name) && name.length <= 255;

const refuse = (repo: string, why: string, cause?: unknown): AppError =>
  new AppError("checkpoint_invalid", `${repo}: ${indexFile} ${why}.`, { cause });

/** The shards that an index names, sorted. Errors: `checkpoint_invalid`. */
export function shardsOfIndex(text: string, repo: string): readonly string[] {
  let index: unknown;
  try {
    index = JSON.parse(text);
  } catch (cause) {
    throw refuse(repo, "is not JSON", cause);
  }
  const map =
    typeof index === "object" && index !== null && "weight_map" in index ? index.weight_map : null;
  if (typeof map !== "object" || map === null) throw refuse(repo, "has no weight_map");
  const names = [...new Set(Object.values(map) as unknown[])];
  const shards = names.filter((name) => typeof name === "string");
  const foreign = names.find((name) => typeof name !== "string" || !isShardName(name));
  if (foreign !== undefined) {
    const shown = JSON.stringify(foreign).slice(0, 100);
    throw refuse(repo, `names the shard ${shown}; only plain .safetensors names are followed`);
  }
  if (shards.length === 0 || shards.length > maxShards) {
    throw refuse(repo, `names ${shards.length} shards; 1 to ${maxShards} are accepted`);
  }
  return shards.sort();
}
