// Whether an artifact was made from a checkpoint at all: first by what the configuration says, which costs
// nothing, then by the digests of the tensors.
import { isDeepStrictEqual } from "node:util";
import { AppError } from "@blip2-edge/shared/problem";
import type { Manifest } from "../artifact/manifest.ts";
import { describeModel } from "../build/describe-model.ts";
import { digestTensors } from "../build/digest-tensors.ts";
import { digestSource } from "../build/source-digest.ts";
import type { Plan } from "../build/tensor-plan.ts";
import type { Blip2Config } from "../checkpoint/config.ts";
import type { Checkpoint } from "../checkpoint/open-checkpoint.ts";
import type { CheckpointConfig } from "../checkpoint/read-checkpoint-config.ts";

const refuse = (detail: string): AppError => new AppError("usage", detail);

/** "decoder.layers" for the first place where two records differ below `path`. */
function differences(mine: unknown, theirs: unknown, path: string): string[] {
  if (isDeepStrictEqual(mine, theirs)) return [];
  const both = [mine, theirs];
  if (!both.every((value) => typeof value === "object" && value !== null)) {
    return [`${path} is ${JSON.stringify(mine)} and not ${JSON.stringify(theirs)}`];
  }
  const [a, b] = both as readonly Readonly<Record<string, unknown>>[];
  const keys = new Set([...Object.keys(a ?? {}), ...Object.keys(b ?? {})]);
  return [...keys].flatMap((key) =>
    differences(a?.[key], b?.[key], path === "" ? key : `${path}.${key}`),
  );
}

/** Errors: `usage` for a checkpoint of another architecture, naming what differs. */
export function checkArchitecture(manifest: Manifest, config: Blip2Config): void {
  const described = describeModel(config);
  const own = Object.fromEntries(
    Object.keys(described).map((key) => [key, manifest[key as keyof typeof described]]),
  );
  const faults = differences(own, described, "");
  if (faults.length === 0) return;
  throw refuse(
    `The artifact ${manifest.name} is of another architecture than the checkpoint: ${faults.join("; ")}. Give the checkpoint that it was built from.`,
  );
}

/** Reads the whole checkpoint. Errors: `usage` when it is not what the artifact was built from. */
export async function checkSource(
  { name, source }: Manifest,
  checkpoint: Checkpoint,
  plan: Plan,
  settings: CheckpointConfig,
  signal: AbortSignal,
): Promise<void> {
  const digests = await digestTensors(checkpoint, plan, signal);
  const found = digestSource(plan, settings, digests);
  if (found.digest === source.digest) return;
  const parts = [...new Set([...Object.keys(found.parts), ...Object.keys(source.parts)])];
  const differing = parts.filter((part) => found.parts[part] !== source.parts[part]);
  const what =
    differing.length === 0
      ? "the tensors are the same, the configuration or the tokenizer is not"
      : `the tensors of ${differing.join(", ")} differ${
          differing.length === parts.length ? "" : ", those of the other parts are the same"
        }`;
  throw refuse(
    `The artifact ${name} was not built from this checkpoint: ${what}. Give the checkpoint that it was built from.`,
  );
}
