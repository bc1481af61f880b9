// The signing keys of a command: those of the file that it names, else those of the environment.
import { readFile } from "node:fs/promises";
import { AppError } from "@blip2-edge/shared/problem";

/** The text as it stands there. Errors: `usage`, which repeats no key. */
export async function readKeysFile(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError("usage", `--keys-file cannot be read: ${why}.`, { cause });
  }
}

/** Undefined where there is neither. Errors: as above. */
export const readKeys = async (
  keysFile: string | undefined,
  fromEnvironment: string | undefined,
): Promise<string | undefined> =>
  keysFile === undefined ? fromEnvironment : readKeysFile(keysFile);
