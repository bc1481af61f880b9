// Reads the small JSON files of a checkpoint folder, within a size bound.
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";

/** Larger than any config, index or tokenizer of the published checkpoints (a few MB). */
const maxJsonBytes = 64 * 1024 * 1024;

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENOENT";

/** The bytes of a small file, or undefined when there is none. */
export async function readSmallFile(
  path: string,
  signal?: AbortSignal,
): Promise<Uint8Array | undefined> {
  try {
    const { size } = await stat(path);
    if (size > maxJsonBytes) {
      throw new AppError(
        "checkpoint_invalid",
        `${basename(path)} is ${size} bytes; at most ${maxJsonBytes} are read.`,
      );
    }
    return await readFile(path, signal === undefined ? {} : { signal });
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (error instanceof AppError) throw error;
    signal?.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    throw new AppError("checkpoint_invalid", `${basename(path)} cannot be read: ${why}.`, {
      cause: error,
    });
  }
}

/** Parsed JSON, or undefined when there is no such file. Errors: `checkpoint_invalid` when not JSON. */
export async function readJsonFile(path: string, signal?: AbortSignal): Promise<unknown> {
  const bytes = await readSmallFile(path, signal);
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch (cause) {
    throw new AppError("checkpoint_invalid", `${basename(path)} is not JSON in UTF-8.`, { cause });
  }
}
