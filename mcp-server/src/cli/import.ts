// `blip2-edge import FOLDER... --namespace NAME`: files become records of a namespace, under ids made of their paths.
// It may be ended and begun again at any time: what is there is passed over, and putting twice makes no second record.
import { readdir } from "node:fs/promises";
import path from "node:path";
import type { Client } from "@blip2-edge/shared/client";
import { AppError } from "@blip2-edge/shared/problem";
import pMap from "p-map";
import { clientOf, commonHelp, countOf, parseFlags, usageError } from "./flags.ts";
import type { CliIo } from "./io.ts";
import { pictureOf } from "./picture.ts";

const importUsage =
  "blip2-edge import FOLDER [--namespace NAME] [--tag TAG]... [--parallel N] [--again]";
export const importHelp = `${importUsage}

Every .jpg, .jpeg, .png and .webp under FOLDER is indexed; its id is its path in FOLDER, in which other characters
than letters, digits and _ . - become : for a slash and =XX else.

  --namespace   default: default
  --tag TAG     of every picture; repeatable
  --parallel N  at a time; default 4
  --again       those too that are there already
${commonHelp}`;

const pictureName = /\.(jpe?g|png|webp)$/i;
const maxParallel = 16;
const progressEvery = 100;

/** Distinct for distinct paths. */
export function idOfPath(relative: string): string {
  const escaped = relative
    .split(path.sep)
    .map((part) =>
      Array.from(new TextEncoder().encode(part), (byte) => {
        const character = String.fromCharCode(byte);
        return /[A-Za-z0-9_.-]/.test(character)
          ? character
          : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
      }).join(""),
    )
    .join(":");
  return /^[A-Za-z0-9_]/.test(escaped) ? escaped : `_=${escaped}`;
}

/** Exit status: 0 when every picture is a record. Errors: AppError, for the entry to print. */
export async function importFolder(args: readonly string[], io: CliIo): Promise<number> {
  const text = { type: "string" } as const;
  const { values, positionals } = parseFlags(
    args,
    {
      ...{ namespace: text, parallel: text },
      tag: { type: "string", multiple: true },
      again: { type: "boolean" },
    },
    importUsage,
  );
  const [folder, ...more] = positionals;
  if (folder === undefined || more.length > 0) throw usageError("Give one folder", importUsage);
  const parallel = countOf("--parallel", values.parallel, importUsage) ?? 4;
  if (parallel < 1 || parallel > maxParallel) {
    throw usageError(`--parallel is from 1 to ${maxParallel}`, importUsage);
  }
  const { namespace = "default", tag: tags } = values;
  const client = clientOf(values, io, importUsage);
  const files = await filesUnder(folder);
  const known = values.again === true ? new Set<string>() : await knownIds(client, namespace, io);
  const waiting = files.filter((file) => !known.has(idOfPath(file)));
  io.stderr(`${files.length} pictures, ${files.length - waiting.length} of them there already`);
  let [done, failed] = [0, 0];
  const total = waiting.length;
  const one = async (file: string): Promise<void> => {
    io.signal.throwIfAborted();
    const id = idOfPath(file);
    try {
      const image = await pictureOf(path.join(folder, file));
      const record = await client.imagePut(
        { namespace, id, image, source: file, tags },
        { signal: io.signal },
      );
      if (values.json) io.stdout(JSON.stringify(record));
    } catch (error) {
      io.signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      failed += 1;
      io.stderr(`${file}: ${error.detail}`);
    }
    done += 1;
    if (done % progressEvery === 0) io.stderr(`${done} of ${total}`);
  };
  await pMap(waiting, one, { concurrency: parallel });
  io.stderr(`${done - failed} indexed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

async function filesUnder(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true });
    return entries.filter((name) => pictureName.test(name)).toSorted();
  } catch (cause) {
    throw new AppError("usage", `${folder} cannot be read as a folder.`, { cause });
  }
}

async function knownIds(client: Client, namespace: string, io: CliIo): Promise<Set<string>> {
  const known = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await client.imageList({ namespace, limit: 200, cursor }, { signal: io.signal });
    for (const { id } of page.images) known.add(id);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return known;
}
