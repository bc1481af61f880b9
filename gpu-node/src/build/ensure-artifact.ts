// An artifact made on first use and found again at once later. It lies in `root` under a name that
// changes with the checkpoint's files and the builder, so a stale one is never served; several processes may
// ask at the same time, and each gets a whole folder.
import { createHash } from "node:crypto";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { builderFormatVersion } from "../artifact/manifest.ts";
import { openArtifact } from "../artifact/open-artifact.ts";
import { buildArtifact } from "./build-artifact.ts";

export interface EnsureOptions {
  /** Folder in Hugging Face's layout. */
  readonly checkpoint: string;
  /** Where built artifacts are kept; made if need be. */
  readonly root: string;
  /** The model's name. */
  readonly name: string;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** Length and time of every file of the folder: cheap, and no file changes without changing it. */
async function fingerprint(folder: string): Promise<string> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new AppError("checkpoint_invalid", `${folder} is not a readable folder.`, { cause });
  });
  const lines = await Promise.all(
    names.sort().map(async (name) => {
      const { size, mtimeMs } = await stat(join(folder, name));
      return JSON.stringify([name, size, mtimeMs]);
    }),
  );
  const text = [builderFormatVersion, folder, ...lines].join("\n");
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

const isWhole = (folder: string): Promise<boolean> =>
  openArtifact(folder).then(
    () => true,
    () => false,
  );

/**
 * The folder of an artifact of `checkpoint` that is whole, built if there is none.
 * Errors: as `buildArtifact`.
 */
export async function ensureArtifact(options: EnsureOptions): Promise<string> {
  const { checkpoint, root, name, signal, log } = options;
  const folder = join(root, `${name}-${await fingerprint(checkpoint)}`);
  if (await isWhole(folder)) return folder;
  signal.throwIfAborted();
  // A damaged one (a file removed by hand) gives way; a good one is never here.
  await rm(folder, { recursive: true, force: true });
  try {
    await buildArtifact({ checkpoint, out: folder, name, signal, log });
  } catch (error) {
    // Another process was faster: its rename made ours fail, and its artifact is as good.
    signal.throwIfAborted();
    if (!(await isWhole(folder))) throw error;
  }
  return folder;
}
