// A folder that appears under its name complete or not at all: written beside it, renamed at the end,
// removed when anything fails. Says in the user's words why a disk refuses.
import { randomBytes } from "node:crypto";
import { mkdir, rename, rm, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { formatBytes } from "./progress.ts";

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOTDIR: "a part of the path is a file",
  EEXIST: "something else was written there meanwhile",
  ENOTEMPTY: "something else was written there meanwhile",
};

/** System errors about the target become `usage`; all others stay as they are. */
function explain(error: unknown, out: string): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = Object.hasOwn(reasons, code) ? reasons[code] : undefined;
  if (error instanceof AppError || reason === undefined) return error;
  return new AppError("usage", `${out} cannot be written: ${reason}.`, { cause: error });
}

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
    throw explain(error, out);
  }
}
