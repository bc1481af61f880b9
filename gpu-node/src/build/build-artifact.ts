// The flow of the build wing: checkpoint -> graphs and data -> artifact folder. The folder appears under
// its name complete or not at all: everything is written beside it and renamed at the end.
import { createHash } from "node:crypto";
import { readdir, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { modelNameSchema } from "@blip2-edge/shared/contracts/caption";
import { passOnCalibration } from "../artifact/calibration-file.ts";
import { builderFormatVersion, type Manifest, manifestFile } from "../artifact/manifest.ts";
import { openArtifact } from "../artifact/open-artifact.ts";
import type { Precision } from "../artifact/precision.ts";
import { type Checkpoint, openCheckpoint } from "../checkpoint/open-checkpoint.ts";
import {
  type CheckpointConfig,
  readCheckpointConfig,
  tokenizerFiles,
} from "../checkpoint/read-checkpoint-config.ts";
import { externalBytes, layOutData } from "../onnx/external-data.ts";
import type { ExternalTensor } from "../onnx/graph.ts";
import { encodeGraph, parametersKey, sharedParametersKey } from "../onnx/model.ts";
import { builtInRecipe, precisionOf, type Recipe } from "../quantize/recipe.ts";
import { resolveAliases } from "./aliases.ts";
import { dataFiles } from "./data-files.ts";
import { digestTensors } from "./digest-tensors.ts";
import { writeFolder } from "./draft-folder.ts";
import { describeModel } from "./describe-model.ts";
import { createProgress, formatBytes } from "./progress.ts";
import { digestSource, modelRevision } from "./source-digest.ts";
import { parametersOf, type Plan, planTensors } from "./tensor-plan.ts";
import { writeWeights } from "./write-weights.ts";

export interface BuildOptions {
  /** Folder in Hugging Face's layout. */
  readonly checkpoint: string;
  /** The artifact's folder: made here, must not exist. */
  readonly out: string;
  /** The model's name; the folder name of `out` by default. */
  readonly name?: string;
  /** How every part is stored; float32 by default. */
  readonly recipe?: Recipe;
  readonly signal: AbortSignal;
  /** Progress lines. */
  readonly log: (line: string) => void;
  /** Float32 bytes in one piece of work; bounds memory. */
  readonly panelBytes?: number;
}

export interface BuildResult {
  readonly manifest: Manifest;
  /** False when `out` already held this very revision. */
  readonly built: boolean;
}

const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

function checkName(name: string): string {
  if (!modelNameSchema.safeParse(name).success) {
    throw new AppError(
      "usage",
      `${JSON.stringify(name)} is not a model name: lower-case letters, digits, ".", "_", "-", at most 64, optionally "@" and a variant. Give one with --name.`,
    );
  }
  return name;
}

/** Folder entries, or undefined when there is no folder. */
const listFolder = (path: string): Promise<string[] | undefined> =>
  readdir(path).catch((error: unknown) => {
    if (error instanceof Error && "code" in error) {
      if (error.code === "ENOENT") return undefined;
      if (error.code === "ENOTDIR") {
        throw new AppError("usage", `${path} is a file; give a folder that does not exist yet.`);
      }
    }
    throw error;
  });

interface Source {
  readonly checkpoint: Checkpoint;
  readonly settings: CheckpointConfig;
  readonly plan: Plan;
  readonly precision: Precision;
}

async function readSource(options: BuildOptions): Promise<Source> {
  const settings = await readCheckpointConfig(options.checkpoint, options.signal);
  const checkpoint = await openCheckpoint(options.checkpoint, options.signal);
  try {
    const { config } = settings;
    const tensors = await resolveAliases(checkpoint, config.family, options.signal);
    const { recipe = builtInRecipe("fp32") } = options;
    const plan = planTensors(config, tensors, recipe);
    return { checkpoint, settings, plan, precision: precisionOf(recipe, plan.keys()) };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

/** What `out` already holds is this revision: nothing to do. Anything else there is not touched. */
async function findExisting(source: Source, options: BuildOptions): Promise<Manifest | undefined> {
  const entries = await listFolder(options.out);
  if (entries === undefined || entries.length === 0) return undefined;
  if (!entries.includes(manifestFile)) {
    throw new AppError(
      "usage",
      `${options.out} exists and is not an artifact; give a folder that does not exist yet.`,
    );
  }
  const { manifest } = await openArtifact(options.out);
  options.log(`${options.out} exists: comparing it with the checkpoint`);
  const digests = await digestTensors(source.checkpoint, source.plan, options.signal);
  const { digest } = digestSource(source.plan, source.settings, digests);
  if (manifest.model_revision !== modelRevision(digest, source.precision)) {
    throw new AppError(
      "usage",
      `${options.out} holds another revision, ${manifest.model_revision} (${manifest.name}). Remove it or give another folder.`,
    );
  }
  return manifest;
}

const dataBytes = (plan: Plan): number =>
  dataFiles(plan)
    .flatMap(({ weights }) => weights)
    .flatMap(({ tensors }) => tensors)
    .reduce((sum, tensor) => sum + externalBytes(tensor), 0);

async function writeArtifact(
  source: Source,
  folder: string,
  name: string,
  options: BuildOptions,
): Promise<Manifest> {
  const { checkpoint, settings, plan, precision } = source;
  const { signal, log, panelBytes } = options;
  const files: Record<string, { sha256: string; bytes: number }> = {};
  const writeSmall = async (file: string, bytes: Uint8Array) => {
    await writeFile(join(folder, file), bytes, { flag: "wx", signal });
    files[file] = { sha256: sha256(bytes), bytes: bytes.length };
  };

  const totalBytes = dataBytes(plan);
  const count = dataFiles(plan).reduce((sum, { weights }) => sum + weights.length, 0);
  log(`building ${name}: ${count} tensors, ${formatBytes(totalBytes)} as ${precision.name}`);
  const progress = createProgress(log, "writing weights", totalBytes);
  const digests = new Map<string, string>();
  for (const { file, parts, weights } of dataFiles(plan)) {
    const layout = layOutData(
      file,
      weights.flatMap(({ tensors }) => tensors),
    );
    const written = await writeWeights(checkpoint, weights, layout, join(folder, layout.file), {
      signal,
      onBytes: progress.add,
      ...(panelBytes === undefined ? {} : { panelBytes }),
    });
    files[layout.file] = { sha256: written.sha256, bytes: written.bytes };
    for (const [tensor, digest] of written.sources) digests.set(tensor, digest);
    const place = ({ name: tensor, bytesOf = tensor }: ExternalTensor) => {
      const placement = layout.placements.get(bytesOf);
      if (placement === undefined) throw new Error(`${bytesOf} was not laid out`);
      return placement;
    };
    const counted = new Set<string>();
    for (const part of parts) {
      const planned = plan.get(part);
      if (planned === undefined) continue;
      const told = {
        [parametersKey]: String(parametersOf(planned.weights)),
        [sharedParametersKey]: String(
          parametersOf(planned.weights.filter(({ source }) => counted.has(source.name))),
        ),
      };
      await writeSmall(`${part}.onnx`, encodeGraph(planned.graph, place, told));
      for (const { source } of planned.weights) counted.add(source.name);
    }
  }
  await writeSmall(tokenizerFiles.tokenizer, settings.tokenizer.tokenizer);
  await writeSmall(tokenizerFiles.config, settings.tokenizer.config);

  const digested = digestSource(plan, settings, digests);
  const manifest: Manifest = {
    format: builderFormatVersion,
    name,
    model_revision: modelRevision(digested.digest, precision),
    ...describeModel(settings.config),
    source: digested,
    precision,
    tokenizer: tokenizerFiles,
    files,
  };
  await writeFile(join(folder, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`, { signal });
  await passOnCalibration(options.checkpoint, folder, manifest, log);
  return manifest;
}

/**
 * Builds an artifact. Leaves nothing behind when it fails or is aborted.
 * Errors: `checkpoint_invalid`; `usage` when `out` or the name will not do; `artifact_invalid` when `out`
 * holds a damaged artifact.
 */
export async function buildArtifact(options: BuildOptions): Promise<BuildResult> {
  const out = resolve(options.out);
  const name = checkName(options.name ?? basename(out));
  const source = await readSource(options);
  try {
    const existing = await findExisting(source, options);
    if (existing !== undefined) return { manifest: existing, built: false };
    const manifest = await writeFolder(out, dataBytes(source.plan), options.signal, (draft) =>
      writeArtifact(source, draft, name, options),
    );
    return { manifest, built: true };
  } finally {
    await source.checkpoint.close();
  }
}
