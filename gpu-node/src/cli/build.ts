// `blip2 build CHECKPOINT --out DIR [--name NAME] [--precision fp32|fp16|int8|int4 | --recipe FILE] [--json]`
import { readFile, stat } from "node:fs/promises";
import { parseArgs } from "node:util";
import { AppError } from "@blip2-edge/shared/problem";
import { buildArtifact } from "../build/build-artifact.ts";
import { formatBytes } from "../build/progress.ts";
import { builtInRecipe, parseRecipe, precisions, type Recipe } from "../quantize/recipe.ts";
import { resolveCheckpoint } from "../hub/resolve-checkpoint.ts";
import type { CliIo } from "./io.ts";

export const buildUsage =
  "blip2 build CHECKPOINT --out DIR [--name NAME] [--precision fp32|fp16|int8|int4 | --recipe FILE] [--json]";

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
  const { precision = "fp32", recipe } = values;
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
  const recipe = await chooseRecipe(values);
  const { manifest, built } = await buildArtifact({
    checkpoint: await resolveCheckpoint(checkpoint, io.env ?? {}),
    out: values.out,
    ...(values.name === undefined ? {} : { name: values.name }),
    recipe,
    signal: io.signal,
    log: io.stderr,
  });
  const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
  if (values.json) {
    const { name, model_revision } = manifest;
    io.stdout(
      JSON.stringify({
        artifact: values.out,
        name,
        model_revision,
        precision: manifest.precision.name,
        bytes,
        built,
      }),
    );
  } else {
    const state = built ? "built" : "already there, the same revision";
    io.stdout(
      `${values.out}: ${manifest.name} ${manifest.model_revision}, ${manifest.precision.name}, ${formatBytes(bytes)}, ${state}`,
    );
  }
  return 0;
}
