// Opens an artifact folder: the manifest parsed, every file it names present and of the right size. The
// digests are compared by verify-artifact.ts only, since that reads everything.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import { builderFormatVersion, type Manifest, manifestFile, manifestSchema } from "./manifest.ts";

export interface Artifact {
  readonly folder: string;
  readonly manifest: Manifest;
  /** The path of a file that the manifest names. */
  path(file: string): string;
}

const maxManifestBytes = 1024 * 1024;

const refuse = (detail: string, cause?: unknown): AppError =>
  new AppError("artifact_invalid", detail, { cause });

/** A file of an artifact lies in its folder: no separators, no parent. */
const isPlainName = (name: string): boolean => /^[\w-][\w.-]*$/.test(name);

async function readManifest(folder: string): Promise<unknown> {
  const path = join(folder, manifestFile);
  const found = await stat(path).catch((cause: unknown) => {
    throw refuse(
      `${folder} is not an artifact: it has no ${manifestFile}. Make one with: blip2 build CHECKPOINT --out DIR`,
      cause,
    );
  });
  if (found.size > maxManifestBytes) {
    throw refuse(`${path} is ${found.size} bytes; a manifest has at most ${maxManifestBytes}.`);
  }
  try {
    return JSON.parse(await readFile(path, "utf8")) as unknown;
  } catch (cause) {
    throw refuse(`${path} is not JSON. Build the artifact again.`, cause);
  }
}

/** Errors: `artifact_invalid`. */
function parseManifest(json: unknown, folder: string): Manifest {
  const format = z.object({ format: z.unknown() }).safeParse(json);
  if (format.success && format.data.format !== builderFormatVersion) {
    throw refuse(
      `${folder} has artifact format ${JSON.stringify(format.data.format)}; this version reads ${builderFormatVersion}. Build the artifact again.`,
    );
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw refuse(`${join(folder, manifestFile)}: ${faults.join("; ")}. Build the artifact again.`);
  }
  const manifest = parsed.data;
  const foreign = Object.keys(manifest.files).find((name) => !isPlainName(name));
  if (foreign !== undefined) {
    throw refuse(
      `${folder}: the manifest names ${JSON.stringify(foreign)}, not a plain file name.`,
    );
  }
  const named = [
    ...Object.values(manifest.graphs).map(({ file }) => file),
    manifest.tokenizer.tokenizer,
    manifest.tokenizer.config,
  ];
  const unlisted = named.find((file) => !Object.hasOwn(manifest.files, file));
  if (unlisted !== undefined) {
    throw refuse(`${folder}: the manifest uses ${JSON.stringify(unlisted)} but does not list it.`);
  }
  return manifest;
}

/**
 * Errors: `artifact_invalid` for a folder without a manifest, another format, a faulty manifest, a file
 * that is missing or of another size (all of them named).
 */
export async function openArtifact(folder: string): Promise<Artifact> {
  const manifest = parseManifest(await readManifest(folder), folder);
  const faults = await Promise.all(
    Object.entries(manifest.files).map(async ([name, { bytes }]) => {
      const found = await stat(join(folder, name)).catch(() => undefined);
      if (found === undefined || !found.isFile()) return `${name} is missing`;
      return found.size === bytes ? undefined : `${name} is ${found.size} bytes and not ${bytes}`;
    }),
  );
  const real = faults.filter((fault) => fault !== undefined);
  if (real.length > 0) {
    throw refuse(`The artifact ${folder} is damaged: ${real.join("; ")}. Build it again.`);
  }
  return {
    folder,
    manifest,
    path(file) {
      if (!Object.hasOwn(manifest.files, file)) throw new Error(`${file} is not in the manifest`);
      return join(folder, file);
    },
  };
}
