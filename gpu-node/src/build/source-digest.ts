// What a checkpoint IS, in one number: the same for the same tensors, configuration and tokenizer however
// the tensors are spread over files, and another when one bit of them changes.
import { createHash } from "node:crypto";
import { builderFormatVersion, type Manifest } from "../artifact/manifest.ts";
import type { CheckpointConfig } from "../checkpoint/read-checkpoint-config.ts";
import type { Part, Plan } from "./tensor-plan.ts";

const sha256 = (data: string | Uint8Array): string =>
  createHash("sha256").update(data).digest("hex");

/** JSON with sorted keys: one text for one value. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** One line per tensor, sorted by name: name, stored type, shape, digest of the stored bytes. */
function tensorLines(parts: readonly Part[], digests: ReadonlyMap<string, string>): string {
  const lines = new Map<string, string>();
  for (const { source } of parts.flatMap((part) => part.weights)) {
    const digest = digests.get(source.name);
    if (digest === undefined) throw new Error(`tensor ${source.name} was not read`);
    lines.set(source.name, JSON.stringify([source.name, source.dtype, source.shape, digest]));
  }
  return [...lines]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, line]) => `${line}\n`)
    .join("");
}

/** `digests`: SHA-256 of each tensor's stored bytes, by name. */
export function digestSource(
  plan: Plan,
  { config, tokenizer }: CheckpointConfig,
  digests: ReadonlyMap<string, string>,
): Manifest["source"] {
  const parts = Object.fromEntries(
    [...plan].map(([name, part]) => [name, sha256(tensorLines([part], digests))]),
  );
  const all = tensorLines([...plan.values()], digests);
  const rest = [canonicalJson(config), sha256(tokenizer.tokenizer), sha256(tokenizer.config)];
  return { digest: sha256(`${all}${rest.join("\n")}\n`), parts };
}

/** First 16 hex digits of SHA-256 over source, builder format and precision recipe. */
export const modelRevision = (sourceDigest: string, precision: Manifest["precision"]): string =>
  sha256(`${sourceDigest}\n${builderFormatVersion}\n${canonicalJson(precision)}\n`).slice(0, 16);
