// `blip2 build CHECKPOINT --out DIR [--name NAME] [--precision mixed|fp32|fp16|int8|int4 | --recipe FILE] [--no-verify] [--json]`
import { readFile, stat } from "node:fs/promises";
import { parseArgs } from "node:util";
import { AppError } from "@blip2-edge/shared/problem";
import { buildArtifact, type BuildResult } from "../build/build-artifact.ts";
import { formatBytes } from "../build/progress.ts";
import { builtInRecipe, parseRecipe, precisions, type Recipe } from "../quantize/recipe.ts";
import { resolveCheckpoint } from "../hub/resolve-checkpoint.ts";
import { hasPassed, type Parity } from "../verify/parity-file.ts";
import { verifyParity } from "../verify/verify-parity.ts";
import type { CliIo } from "./io.ts";

export const buildUsage =
  "blip2 build CHECKPOINT --out DIR [--name NAME] [--precision mixed|fp32|fp16|int8|int4 | --recipe FILE] [--no-verify] [--json]";

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
        precision: { type: "string" },
        recipe: { type: "string" },
        "no-verify": { type: "boolean", default: false },
        json: { type: "boolean", default: false },
      },
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError("usage", `${why}. Usage: ${buildUsage}`, { cause });
  }
}

const maxRecipeBytes = 64 * 1024;

async function readRecipe(path: string): Promise<Recipe> {
  let json: unknown;
  try {
    const { size } = await stat(path);
    if (size > maxRecipeBytes) throw new Error(`it is larger than ${maxRecipeBytes} bytes`);
    json = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError("usage", `The recipe ${path} cannot be read as JSON: ${why}.`, { cause });
  }
  return parseRecipe(json, path);
}

function chooseRecipe(values: {
  readonly precision?: string | undefined;
  readonly recipe?: string | undefined;
}): Recipe | Promise<Recipe> {
  const { precision = "mixed", recipe } = values;
  if (recipe !== undefined) {
    if (values.precision === undefined) return readRecipe(recipe);
    throw new AppError(
      "usage",
      `--precision and --recipe exclude each other. Usage: ${buildUsage}`,
    );
  }
  const known = precisions.find((name) => name === precision);
  if (known !== undefined) return builtInRecipe(known);
  throw new AppError(
    "usage",
    `--precision ${precision} is not supported; ${precisions.join(", ")} are.`,
  );
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
  const recipe = await chooseRecipe(values);
  const folder = await resolveCheckpoint(checkpoint, io.env ?? {});
  const result = await buildArtifact({
    checkpoint: folder,
    out: values.out,
    ...(values.name === undefined ? {} : { name: values.name }),
    recipe,
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
      JSON.stringify({
        artifact: values.out,
        name,
        model_revision,
        precision: manifest.precision.name,
        bytes,
        built,
        ...found,
      }),
    );
  } else {
    const state = built ? "built" : "already there, the same revision";
    io.stdout(
      `${values.out}: ${manifest.name} ${manifest.model_revision}, ${manifest.precision.name}, ${formatBytes(bytes)}, ${state}`,
    );
    if (parity !== undefined) io.stdout(describeParity(parity));
  }
  return (parity?.passed ?? true) ? 0 : 1;
}
