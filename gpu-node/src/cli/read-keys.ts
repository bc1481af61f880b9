// The signing keys of a command: those of the file that it names, else those of the environment.
import { readFile } from "node:fs/promises";
import { AppError } from "@blip2-edge/shared/problem";

/** The text as it stands there; undefined where there is none. Errors: `usage`, which repeats no key. */
export async function readKeys(
  keysFile: string | undefined,
  fromEnvironment: string | undefined,
): Promise<string | undefined> {
  if (keysFile === undefined) return fromEnvironment;
  try {
    return (await readFile(keysFile, "utf8")).trim();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError("usage", `--keys-file cannot be read: ${why}.`, { cause });
  }
}
