// An artifact made on first use and found again at once later. It lies in `root` under a name that
// changes with the checkpoint's files, the recipe and the builder, so a stale one is never served; several processes may
// ask at the same time, and each gets a whole folder.
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { builderFormatVersion } from "../artifact/manifest.ts";
import { openArtifact } from "../artifact/open-artifact.ts";
import { builtInRecipe, type PrecisionName, type Recipe } from "../quantize/recipe.ts";
import { buildArtifact } from "./build-artifact.ts";

export interface EnsureOptions {
  /** Folder in Hugging Face's layout. */
  readonly checkpoint: string;
  /** Where built artifacts are kept; made if need be. */
  readonly root: string;
  /** The model's name. */
  readonly name: string;
  /** Full precision by default. */
  readonly precision?: PrecisionName;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** Length and time of every file of the folder: cheap, and no file changes without changing it. */
async function fingerprint(folder: string, recipe: Recipe): Promise<string> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new AppError("checkpoint_invalid", `${folder} is not a readable folder.`, { cause });
  });
  const lines = await Promise.all(
    names.sort().map(async (name) => {
      const { size, mtimeMs } = await stat(join(folder, name));
      return JSON.stringify([name, size, mtimeMs]);
    }),
  );
  const text = [builderFormatVersion, folder, JSON.stringify(recipe), ...lines].join("\n");
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

/** Whole ones are used, absent ones can be built; a damaged one is left alone: it may be in use. */
async function inspectFolder(folder: string): Promise<"whole" | "absent" | "damaged"> {
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined) return "absent";
  return openArtifact(folder).then(
    () => "whole" as const,
    () => "damaged" as const,
  );
}

/** More damaged copies than anyone makes by accident. */
const maxCopies = 8;

/**
 * The folder of an artifact of `checkpoint` that is whole, built if there is none.
 * Errors: as `buildArtifact`; `artifact_invalid` when damaged copies fill `root`.
 */
export async function ensureArtifact(options: EnsureOptions): Promise<string> {
  const { checkpoint, root, name, precision = "fp32", signal, log } = options;
  const recipe = builtInRecipe(precision);
  const base = join(root, `${name}-${await fingerprint(checkpoint, recipe)}`);
  for (let copy = 0; copy < maxCopies; copy += 1) {
    signal.throwIfAborted();
    const folder = copy === 0 ? base : `${base}-${copy}`;
    const state = await inspectFolder(folder);
    if (state === "whole") return folder;
    if (state === "damaged") {
      log(`${folder} is damaged and can be removed; building another`);
      continue;
    }
    try {
      await buildArtifact({ checkpoint, out: folder, name, recipe, signal, log });
      return folder;
    } catch (error) {
      // Another process was faster: its rename made ours fail, and its artifact is as good.
      signal.throwIfAborted();
      if ((await inspectFolder(folder)) !== "whole") throw error;
      return folder;
    }
  }
  throw new AppError(
    "artifact_invalid",
    `${base} and ${maxCopies - 1} copies of it are damaged. Remove them.`,
  );
}
