// Flags of a command by node:util's parseArgs, with faults as the problem `usage` that names the flag
// and the command's usage line.
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { AppError } from "@blip2-edge/shared/problem";

export const usageError = (why: string, usage: string): AppError =>
  new AppError("usage", `${why.replace(/\.$/, "")}. Usage: ${usage}`);

/** Errors: `usage` for an unknown flag or a value where none belongs. */
export function parseFlags<const Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
  usage: string,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (cause) {
    // The first sentence names the flag; what follows is advice about positionals.
    const message = cause instanceof Error ? cause.message : String(cause);
    throw usageError(message.split(". ")[0] ?? message, usage);
  }
}
