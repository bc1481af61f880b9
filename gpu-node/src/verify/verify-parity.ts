// Proof that an artifact is its checkpoint: refuses a pair that does not belong together, measures the blocks
// and, where the model is small enough, the whole, and writes parity.json beside the manifest.
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openArtifact, type Artifact } from "../artifact/open-artifact.ts";
import { verifyArtifact } from "../artifact/verify-artifact.ts";
import { resolveAliases } from "../build/aliases.ts";
import { dataFiles } from "../build/data-files.ts";
import { formatBytes } from "../build/progress.ts";
import { type Plan, planTensors } from "../build/tensor-plan.ts";
import { openCheckpoint } from "../checkpoint/open-checkpoint.ts";
import { readCheckpointConfig } from "../checkpoint/read-checkpoint-config.ts";
import { explainDiskError } from "../disk/explain-disk-error.ts";
import { externalBytes } from "../onnx/external-data.ts";
import { builtInRecipe } from "../quantize/recipe.ts";
import { createTokenizer } from "../tokenizers/tokenizer.ts";
import { checkArchitecture, checkSource } from "./check-source.ts";
import type { BlockChoice } from "./choose-blocks.ts";
import { floors } from "./floors.ts";
import { type BlockRecord, blockRecord, type Parity, writeParity } from "./parity-file.ts";
import type { Pass } from "./pass-inputs.ts";
import { drawPicture } from "./picture.ts";
import { verifyBlocks } from "./verify-blocks.ts";
import { verifyWhole } from "./verify-whole.ts";

export interface VerifyParityOptions {
  readonly artifact: string;
  /** Folder in Hugging Face's layout. */
  readonly checkpoint: string;
  readonly blocks: BlockChoice;
  /** The whole is compared when the checkpoint in float32 has no more bytes than this; 0 leaves it out. */
  readonly wholeMaxBytes: number;
  /** The artifact was made from the checkpoint a moment ago: nothing is digested again. */
  readonly fresh?: boolean;
  /** A folder for one block's float32 weights, and the whole checkpoint's if that is compared; made if need be. */
  readonly temporaryRoot?: string;
  readonly signal: AbortSignal;
  /** Progress lines. */
  readonly log: (line: string) => void;
  /** Every block as soon as it is measured. */
  readonly onBlock: (record: BlockRecord) => void;
}

const prompt = "Question: what is in the picture? Answer:";

/** What goes through the blocks: the first picture, the prompt as far as the model has positions. */
async function readPass({ manifest, path }: Artifact): Promise<Pass> {
  const json = async (file: string): Promise<unknown> =>
    JSON.parse(await readFile(path(file), "utf8"));
  const tokenizer = createTokenizer(
    {
      tokenizer: await json(manifest.tokenizer.tokenizer),
      config: await json(manifest.tokenizer.config),
    },
    manifest.tokens.image,
  );
  // Queries take places of the language model's, but none of a text side of the Q-Former's own.
  const room =
    manifest.family === "retrieval"
      ? manifest.text.context
      : manifest.decoder.context - manifest.qformer.queries;
  return {
    rgb: drawPicture(manifest.image.size, 0),
    promptIds: tokenizer.encode(prompt).slice(0, room),
  };
}

const floatBytes = (plan: Plan): number =>
  dataFiles(plan)
    .flatMap(({ weights }) => weights)
    .flatMap((weight) => weight.tensors)
    .reduce((sum, tensor) => sum + externalBytes(tensor), 0);

/**
 * Measures and writes parity.json; whether all is well stands in the result.
 * Errors: `artifact_invalid` for a damaged artifact, `checkpoint_invalid`, `usage` for two that do not belong
 * together or a disk that refuses. Leaves nothing behind but parity.json, and that only when it is done.
 */
export async function verifyParity(options: VerifyParityOptions): Promise<Parity> {
  const { signal, log, temporaryRoot = tmpdir() } = options;
  const artifact = await openArtifact(options.artifact);
  const { manifest } = artifact;
  const settings = await readCheckpointConfig(options.checkpoint, signal);
  checkArchitecture(manifest, settings.config);
  const checkpoint = await openCheckpoint(options.checkpoint, signal);
  let folder: string | undefined;
  try {
    const tensors = await resolveAliases(checkpoint, settings.config.family, signal);
    const plan = planTensors(settings.config, tensors, builtInRecipe("fp32"));
    if (options.fresh !== true) {
      log("comparing digests of artifact and checkpoint");
      await verifyArtifact(options.artifact, { signal });
      await checkSource(manifest, checkpoint, plan, settings, signal);
    }
    const pass = await readPass(artifact);
    await mkdir(temporaryRoot, { recursive: true });
    folder = await mkdtemp(join(temporaryRoot, "blip2-verify-"));
    const blocks: BlockRecord[] = [];
    await verifyBlocks({
      artifact,
      checkpoint,
      plan,
      pass,
      choice: options.blocks,
      folder,
      signal,
      onBlock(figures) {
        const record = blockRecord(figures);
        blocks.push(record);
        options.onBlock(record);
      },
    });
    const bytes = floatBytes(plan);
    const fits = bytes <= options.wholeMaxBytes;
    if (fits) log("comparing what both generate");
    const whole = fits
      ? await verifyWhole(options.artifact, options.checkpoint, folder, signal)
      : { skipped: describeSkip(bytes, options.wholeMaxBytes) };
    const short = blocks.filter(({ passed }) => !passed);
    const parity: Parity = {
      format: 1,
      name: manifest.name,
      model_revision: manifest.model_revision,
      source_digest: manifest.source.digest,
      passed: short.length === 0,
      short: short.map(({ part, block }) => `${part} ${block}`),
      measured: {
        blocks: options.blocks,
        fed: {
          picture: "a gradient and discs, drawn by verify/picture.ts from the seed 0",
          prompt,
          prompt_ids: pass.promptIds,
          inputs:
            options.blocks === "all"
              ? "to both sides of every block what the checkpoint's own blocks before it made"
              : "to both sides of every block what the block before it made: the checkpoint's where it was measured, else the artifact's",
        },
        floors,
      },
      blocks,
      whole,
    };
    await writeParity(options.artifact, parity, signal);
    return parity;
  } catch (error) {
    throw explainDiskError(error, folder ?? temporaryRoot, "TMPDIR names another place.");
  } finally {
    await checkpoint.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

const describeSkip = (bytes: number, maxBytes: number): string =>
  maxBytes === 0
    ? "not asked for"
    : `the checkpoint is ${formatBytes(bytes)} in float32; the bound is ${formatBytes(maxBytes)}`;
