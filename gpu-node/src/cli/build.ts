// `blip2 build CHECKPOINT --out DIR [--name NAME] [--precision fp32] [--no-verify] [--json]`
import { parseArgs } from "node:util";
import { AppError } from "@blip2-edge/shared/problem";
import { buildArtifact, type BuildResult } from "../build/build-artifact.ts";
import { formatBytes } from "../build/progress.ts";
import { resolveCheckpoint } from "../hub/resolve-checkpoint.ts";
import { hasPassed, type Parity } from "../verify/parity-file.ts";
import { verifyParity } from "../verify/verify-parity.ts";
import type { CliIo } from "./io.ts";

export const buildUsage =
  "blip2 build CHECKPOINT --out DIR [--name NAME] [--precision fp32] [--no-verify] [--json]";

/** Of every kind of block that repeats: the first, the middle and the last. */
const sampledBlocks = 3;

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        out: { type: "string" },
        name: { type: "string" },
        precision: { type: "string", default: "fp32" },
        "no-verify": { type: "boolean", default: false },
        json: { type: "boolean", default: false },
      },
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError("usage", `${why}. Usage: ${buildUsage}`, { cause });
  }
}

/** A few blocks beside the checkpoint's; undefined when that was not wanted or is proven already. */
async function sampleParity(
  folder: string,
  checkpoint: string,
  { manifest, built }: BuildResult,
  io: CliIo,
): Promise<Parity | undefined> {
  if (!built && (await hasPassed(folder, manifest.model_revision))) return undefined;
  io.stderr("comparing a sample of its blocks with the checkpoint");
  return verifyParity({
    artifact: folder,
    checkpoint,
    blocks: sampledBlocks,
    wholeMaxBytes: 0,
    fresh: built,
    signal: io.signal,
    log: io.stderr,
    onBlock: () => undefined,
  });
}

function describeParity({ blocks, short }: Parity): string {
  const worst = Math.min(...blocks.map(({ cosine }) => cosine));
  return short.length === 0
    ? `parity: ${blocks.length} blocks compared with the checkpoint, lowest cosine ${worst.toFixed(6)}`
    : `parity: ${short.length} of ${blocks.length} blocks fall short of the checkpoint: ${short.join(", ")}. For all of them: blip2 verify`;
}

/** Exit status: 0 when the artifact stands and its sample is the checkpoint's. Errors: AppError, for the entry to print. */
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
  const folder = await resolveCheckpoint(checkpoint, io.env ?? {});
  const result = await buildArtifact({
    checkpoint: folder,
    out: values.out,
    ...(values.name === undefined ? {} : { name: values.name }),
    signal: io.signal,
    log: io.stderr,
  });
  const { manifest, built } = result;
  const parity = values["no-verify"]
    ? undefined
    : await sampleParity(values.out, folder, result, io);
  const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
  if (values.json) {
    const { name, model_revision } = manifest;
    const found =
      parity === undefined ? {} : { parity: { passed: parity.passed, short: parity.short } };
    io.stdout(
      JSON.stringify({ artifact: values.out, name, model_revision, bytes, built, ...found }),
    );
  } else {
    const state = built ? "built" : "already there, the same revision";
    io.stdout(
      `${values.out}: ${manifest.name} ${manifest.model_revision}, ${formatBytes(bytes)}, ${state}`,
    );
    if (parity !== undefined) io.stdout(describeParity(parity));
  }
  return (parity?.passed ?? true) ? 0 : 1;
}
