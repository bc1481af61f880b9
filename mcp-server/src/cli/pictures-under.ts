// The files under a folder that are pictures by their names. Whether they are is for the Worker to say: it names what
// a file is instead.
import { readdir } from "node:fs/promises";
import path from "node:path";
import { usageError } from "./flags.ts";

const pictureName = /\.(jpe?g|jfif|png|webp|gif|avif|hei[cf]|bmp|tiff?|jxl)$/i;

export interface FilesUnder {
  /** Paths in the folder, in their order. */
  readonly pictures: readonly string[];
  /** How many files have other names. */
  readonly others: number;
}

/** Nothing of a hidden file or folder counts. Links to folders are not followed. Errors: `usage`. */
export async function picturesUnder(folder: string, usage: string): Promise<FilesUnder> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => {
    throw usageError(`${folder} cannot be read as a folder`, usage);
  });
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => path.relative(folder, path.join(parentPath, name)))
    .filter((file) => !file.split(path.sep).some((part) => part.startsWith(".")));
  const pictures = files.filter((file) => pictureName.test(file)).toSorted();
  if (pictures.length === 0) throw usageError(`There is no picture under ${folder}`, usage);
  return { pictures, others: files.length - pictures.length };
}
