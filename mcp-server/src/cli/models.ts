// `blip2-edge models`: what a Worker's models can be asked for.
import { clientOf, commonHelp, parseFlags, usageError } from "./flags.ts";
import type { CliIo } from "./io.ts";

const usage = "blip2-edge models [--json]";
export const modelsHelp = `${usage}

${commonHelp}`;

/** Exit status: 0 when they are listed. Errors: AppError, for the entry to print. */
export async function models(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseFlags(args, {}, usage);
  if (positionals.length > 0) throw usageError("It takes no arguments", usage);
  const { data } = await clientOf(values, io, usage).models({ signal: io.signal });
  for (const model of data) {
    const { id, model_revision, abilities } = model;
    io.stdout(
      values.json ? JSON.stringify(model) : `${id}  ${model_revision}  ${abilities.join(" ")}`,
    );
  }
  return 0;
}
