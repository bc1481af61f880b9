// parity.json beside an artifact's manifest: what was measured, on what, and how it came out. Not listed in
// the manifest, since it is no part of the artifact; replaced in one stroke.
import { randomBytes } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { explainDiskError } from "../disk/explain-disk-error.ts";
import type { BlockChoice } from "./choose-blocks.ts";
import type { Floor, Precision } from "./floors.ts";
import type { BlockFigures } from "./verify-blocks.ts";
import type { WholeFigures } from "./verify-whole.ts";

const parityFile = "parity.json";

export interface Parity {
  readonly format: 1;
  readonly name: string;
  readonly model_revision: string;
  readonly source_digest: string;
  /** Whether every measured block reaches its floor. */
  readonly passed: boolean;
  /** "vision layers.3" of every block that falls short. */
  readonly short: readonly string[];
  readonly measured: {
    /** All blocks, or how many of each kind that repeats. */
    readonly blocks: BlockChoice;
    readonly fed: {
      readonly picture: string;
      readonly prompt: string;
      readonly prompt_ids: readonly number[];
      readonly inputs: string;
    };
    readonly floors: Readonly<Record<Precision, Floor>>;
  };
  readonly blocks: readonly BlockRecord[];
  /** Or why the whole was not compared. */
  readonly whole: WholeFigures | { readonly skipped: string };
}

/** One block as it stands in the file and in lines of --json. */
export interface BlockRecord {
  readonly part: string;
  readonly block: string;
  readonly precision: Precision;
  readonly cosine: number;
  readonly update_cosine?: number;
  readonly max_abs_error: number;
  readonly relative_error: number;
  readonly passed: boolean;
}

export const blockRecord = (figures: BlockFigures): BlockRecord => ({
  part: figures.part,
  block: figures.block,
  precision: figures.precision,
  cosine: figures.cosine,
  ...(figures.updateCosine === undefined ? {} : { update_cosine: figures.updateCosine }),
  max_abs_error: figures.maxAbsError,
  relative_error: figures.relativeError,
  passed: figures.passed,
});

/** Errors: `usage` when the disk refuses. */
export async function writeParity(
  artifactFolder: string,
  parity: Parity,
  signal: AbortSignal,
): Promise<void> {
  const path = join(artifactFolder, parityFile);
  const draft = `${path}.${randomBytes(6).toString("hex")}.partial`;
  try {
    await writeFile(draft, `${JSON.stringify(parity, null, 2)}\n`, { flag: "wx", signal });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw explainDiskError(error, path);
  }
}

const verdictSchema = z.object({ model_revision: z.string(), passed: z.boolean() });

/** Whether a report of this very revision stands there and says that all is well. */
export async function hasPassed(artifactFolder: string, modelRevision: string): Promise<boolean> {
  const text = await readFile(join(artifactFolder, parityFile), "utf8").catch(() => "null");
  try {
    const verdict = verdictSchema.safeParse(JSON.parse(text));
    return verdict.success && verdict.data.passed && verdict.data.model_revision === modelRevision;
  } catch {
    return false; // not JSON: measured again and replaced
  }
}
