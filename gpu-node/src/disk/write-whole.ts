// A file that appears complete or not at all.
import { rename, rm, writeFile } from "node:fs/promises";
import { explainDiskError } from "./explain-disk-error.ts";

/** `mode` is less the process's own mask. Errors: `usage` when it cannot be written. */
export async function writeWhole(path: string, text: string, mode = 0o666): Promise<void> {
  const draft = `${path}.writing`;
  try {
    await writeFile(draft, text, { mode });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw explainDiskError(error, path);
  }
}
