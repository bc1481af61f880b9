// A folder that appears under its name complete or not at all: written beside it, renamed at the end,
// removed when anything fails.
import { randomBytes } from "node:crypto";
import { mkdir, rename, rm, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { explainDiskError } from "../disk/explain-disk-error.ts";
import { formatBytes } from "./progress.ts";

async function checkSpace(folder: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (neededBytes > freeBytes) {
    throw new AppError(
      "usage",
      `${folder} has ${formatBytes(freeBytes)} free; the artifact needs ${formatBytes(neededBytes)}.`,
    );
  }
}

/**
 * Runs `write` in a fresh folder beside `out`, then gives it that name.
 * Errors: `usage` when the disk has less than `neededBytes` or refuses; what `write` throws.
 */
export async function writeFolder<T>(
  out: string,
  neededBytes: number,
  signal: AbortSignal,
  write: (draft: string) => Promise<T>,
): Promise<T> {
  const draft = `${out}.building-${randomBytes(6).toString("hex")}`;
  try {
    await mkdir(dirname(out), { recursive: true });
    await checkSpace(dirname(out), neededBytes);
    await mkdir(draft);
    const result = await write(draft);
    signal.throwIfAborted();
    await rename(draft, out);
    return result;
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw explainDiskError(error, out);
  }
}
