// The files of an evaluation as they lie on this machine: data with a digest, pictures that are all there.
import { createHash } from "node:crypto";
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { type DataFile, listed } from "../../evaluate/data-file.ts";

export interface ReadFile extends DataFile {
  readonly sha256: string;
}

/** Errors: `dataset_invalid`. */
export async function readData(path: string, signal: AbortSignal): Promise<ReadFile> {
  try {
    const bytes = await readFile(path, { signal });
    return {
      name: path,
      text: new TextDecoder("utf-8", { fatal: true }).decode(bytes),
      sha256: createHash("sha256").update(bytes).digest("hex"),
    };
  } catch (cause) {
    signal.throwIfAborted();
    const why = cause instanceof TypeError ? "it is not UTF-8" : String((cause as Error).message);
    throw new AppError("dataset_invalid", `${path} cannot be read: ${why}.`, { cause });
  }
}

/**
 * The path of every picture, before the first is looked at. Errors: `dataset_invalid` that names those that the
 * data calls nothing and those that are not there.
 */
export async function findPictures(
  folder: string,
  items: readonly { readonly id: string | number; readonly file: string | null }[],
): Promise<readonly string[]> {
  const nameless = items.filter(({ file }) => file === null).map(({ id }) => id);
  if (nameless.length > 0) {
    throw new AppError(
      "dataset_invalid",
      `The data names no picture for ${listed(nameless)}. COCO's files have "file_name"; for questions there is --image-names, as in --image-names COCO_val2014_{12}.jpg`,
    );
  }
  const paths = items.map(({ file }) => join(folder, file ?? ""));
  const missing: string[] = [];
  for (const path of new Set(paths)) {
    await access(path).catch(() => missing.push(path));
  }
  if (missing.length > 0) {
    throw new AppError(
      "dataset_invalid",
      `${missing.length} of ${new Set(paths).size} pictures are not there: ${listed(missing)}. Get them, or choose another folder with --images; --limit N takes the first N alone.`,
    );
  }
  return paths;
}
