// `blip2 build CHECKPOINT --out DIR [--name NAME] [--precision fp32] [--json]`
import { parseArgs } from "node:util";
import { AppError } from "@blip2-edge/shared/problem";
import { buildArtifact } from "../build/build-artifact.ts";
import { formatBytes } from "../build/progress.ts";
import { resolveCheckpoint } from "../hub/resolve-checkpoint.ts";
import type { CliIo } from "./io.ts";

export const buildUsage =
  "blip2 build CHECKPOINT --out DIR [--name NAME] [--precision fp32] [--json]";

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        out: { type: "string" },
        name: { type: "string" },
        precision: { type: "string", default: "fp32" },
        json: { type: "boolean", default: false },
      },
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError("usage", `${why}. Usage: ${buildUsage}`, { cause });
  }
}

/** Exit status: 0 when the artifact stands. Errors: AppError, for the entry to print. */
export async function build(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parse(args);
  const [checkpoint, ...more] = positionals;
  if (checkpoint === undefined || more.length > 0 || values.out === undefined) {
    throw new AppError(
      "usage",
      `Give one checkpoint (a folder or a hub name) and --out. Usage: ${buildUsage}`,
    );
  }
  if (values.precision !== "fp32") {
    throw new AppError("usage", `--precision ${values.precision} is not supported; fp32 is.`);
  }
  const { manifest, built } = await buildArtifact({
    checkpoint: await resolveCheckpoint(checkpoint, io.env ?? {}),
    out: values.out,
    ...(values.name === undefined ? {} : { name: values.name }),
    signal: io.signal,
    log: io.stderr,
  });
  const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
  if (values.json) {
    const { name, model_revision } = manifest;
    io.stdout(JSON.stringify({ artifact: values.out, name, model_revision, bytes, built }));
  } else {
    const state = built ? "built" : "already there, the same revision";
    io.stdout(
      `${values.out}: ${manifest.name} ${manifest.model_revision}, ${formatBytes(bytes)}, ${state}`,
    );
  }
  return 0;
}
