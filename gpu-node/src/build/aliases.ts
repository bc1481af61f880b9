// One tensor under several names: the token embedding, and the head when it is tied to it. Which names a file
// has depends on the version that wrote it; the graphs know one, and a head of its own or none.
import { AppError } from "@blip2-edge/shared/problem";
import type { Family } from "../checkpoint/config.ts";
import type { Checkpoint } from "../checkpoint/open-checkpoint.ts";
import { quoteName, type TensorEntry } from "../checkpoint/safetensors-header.ts";
import { lmHead } from "../models/weights.ts";
import { sameTensor } from "./digest-tensors.ts";

/** The names of a family's token embedding, the one that the graphs ask for first. */
const tokenEmbeddings: Readonly<Record<Family, readonly string[]>> = {
  opt: ["language_model.model.decoder.embed_tokens.weight"],
  t5: [
    "language_model.shared.weight",
    "language_model.encoder.embed_tokens.weight",
    "language_model.decoder.embed_tokens.weight",
  ],
  retrieval: [], // one name, and no head
};

/**
 * The checkpoint's tensors with the token embedding under its first name only, and without a head that is
 * a copy of it. Reads those tensors when there is something to compare.
 * Errors: `checkpoint_invalid` for two embeddings that differ, which the model cannot have.
 */
export async function resolveAliases(
  checkpoint: Checkpoint,
  family: Family,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, TensorEntry>> {
  const tensors = new Map(checkpoint.tensors);
  const names = tokenEmbeddings[family];
  const [name] = names;
  const stored = names.flatMap((each) => tensors.get(each) ?? []);
  const [embedding] = stored;
  if (name === undefined || embedding === undefined) return tensors; // the plan says what is missing
  for (const alias of stored.slice(1)) {
    if (!(await sameTensor(checkpoint, alias, embedding, signal))) {
      throw new AppError(
        "checkpoint_invalid",
        `Tensors ${quoteName(embedding.name)} and ${quoteName(alias.name)} differ, but the model has one token embedding.`,
      );
    }
  }
  for (const each of names) tensors.delete(each);
  tensors.set(name, { ...embedding, name });
  const head = tensors.get(lmHead);
  if (head !== undefined && (await sameTensor(checkpoint, head, embedding, signal))) {
    tensors.delete(lmHead);
  }
  return tensors;
}
