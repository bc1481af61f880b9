// A checkpoint folder's tensors: one model.safetensors, or the shards that its index names. Headers are
// read and compared here; the tensors' bytes are read in pieces by read-tensor.ts.
import { open, stat, type FileHandle } from "node:fs/promises";
import { basename, join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import { readJsonFile } from "./json-file.ts";
import {
  parseHeader,
  parseHeaderLength,
  quoteName,
  type TensorEntry,
} from "./safetensors-header.ts";

const singleFile = "model.safetensors";
const indexFile = "model.safetensors.index.json";
const maxShards = 1000;

export interface Checkpoint {
  readonly folder: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /**
   * Fills `target` with the bytes of `entry` from `start` on.
   * Errors: `checkpoint_invalid` when the file has become shorter.
   */
  readInto(entry: TensorEntry, start: number, target: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

const refuse = (detail: string): AppError => new AppError("checkpoint_invalid", detail);

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

async function readFully(handle: FileHandle, target: Uint8Array, position: number, file: string) {
  let filled = 0;
  while (filled < target.length) {
    const { bytesRead } = await handle.read(
      target,
      filled,
      target.length - filled,
      position + filled,
    );
    if (bytesRead === 0) throw refuse(`${file} became shorter while it was read.`);
    filled += bytesRead;
  }
}

async function readShard(handle: FileHandle, path: string): Promise<TensorEntry[]> {
  const file = basename(path);
  const { size } = await handle.stat();
  const prefix = new Uint8Array(8);
  if (size >= prefix.length) await readFully(handle, prefix, 0, file);
  const header = new Uint8Array(parseHeaderLength(prefix, size, file));
  await readFully(handle, header, prefix.length, file);
  return parseHeader(header, size, file).map((entry) => ({ ...entry, file: path }));
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** Shard names come from a file that anyone may have written: only plain names inside the folder. */
const isShardName = (name: string): boolean => /^[\w.-]+\.safetensors$/.test(name);

async function readIndex(folder: string, signal?: AbortSignal): Promise<Map<string, string>> {
  const parsed = indexSchema.safeParse(await readJsonFile(join(folder, indexFile), signal));
  if (!parsed.success) {
    throw refuse(`${indexFile} has no weight_map of tensor names to file names.`);
  }
  const map = new Map(Object.entries(parsed.data.weight_map));
  const shards = [...new Set(map.values())];
  const foreign = shards.find((name) => !isShardName(name));
  if (foreign !== undefined) {
    throw refuse(
      `${indexFile} names the shard ${quoteName(foreign)}; a shard must be a .safetensors file in the same folder.`,
    );
  }
  if (shards.length === 0 || shards.length > maxShards) {
    throw refuse(`${indexFile} names ${shards.length} shards; 1 to ${maxShards} are accepted.`);
  }
  const found = await Promise.all(shards.map((name) => exists(join(folder, name))));
  const missing = shards.filter((_, at) => found[at] !== true);
  if (missing.length > 0) {
    throw refuse(
      `${indexFile} names ${missing.join(", ")}, which ${missing.length === 1 ? "is" : "are"} not in ${folder}. Finish the download.`,
    );
  }
  return map;
}

/** The shards to read and, for sharded checkpoints, which tensor the index puts where. */
async function findShards(folder: string, signal?: AbortSignal) {
  if (await exists(join(folder, singleFile))) return { shards: [singleFile] };
  if (await exists(join(folder, indexFile))) {
    const map = await readIndex(folder, signal);
    return { shards: [...new Set(map.values())].sort(), map };
  }
  const pickled = await exists(join(folder, "pytorch_model.bin"));
  const pickledShards = await exists(join(folder, "pytorch_model.bin.index.json"));
  throw refuse(
    pickled || pickledShards
      ? `${folder} holds pickled weights (pytorch_model*.bin) only, which are never loaded because a pickle can run code. Save the model as safetensors.`
      : `${folder} holds neither ${singleFile} nor ${indexFile}. Is it a checkpoint in Hugging Face's layout?`,
  );
}

function compareWithIndex(
  tensors: ReadonlyMap<string, TensorEntry>,
  map: ReadonlyMap<string, string>,
): void {
  const faults = [
    ...[...map]
      .filter(([name, shard]) => basename(tensors.get(name)?.file ?? "") !== shard)
      .map(([name, shard]) => `${quoteName(name)} should be in ${shard} and is not`),
    ...[...tensors.values()]
      .filter(({ name }) => !map.has(name))
      .map(({ name, file }) => `${quoteName(name)} in ${basename(file)} is not in the index`),
  ];
  if (faults.length > 0) {
    throw refuse(`${indexFile} and the shards disagree: ${faults.join("; ")}.`);
  }
}

/**
 * Reads the headers of the checkpoint in `folder`. The caller closes it.
 * Errors: `checkpoint_invalid` naming the file, and the tensor where there is one.
 */
export async function openCheckpoint(folder: string, signal?: AbortSignal): Promise<Checkpoint> {
  const { shards, map } = await findShards(folder, signal);
  const handles = new Map<string, FileHandle>();
  const close = async () => {
    await Promise.all([...handles.values()].map((handle) => handle.close()));
  };
  try {
    const tensors = new Map<string, TensorEntry>();
    for (const shard of shards) {
      signal?.throwIfAborted();
      const path = join(folder, shard);
      const handle = await open(path, "r").catch((cause: unknown) => {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new AppError("checkpoint_invalid", `${shard} cannot be read: ${why}.`, { cause });
      });
      handles.set(path, handle);
      for (const entry of await readShard(handle, path)) {
        const other = tensors.get(entry.name);
        if (other !== undefined) {
          throw refuse(
            `Tensor ${quoteName(entry.name)} is in ${basename(other.file)} and in ${shard}.`,
          );
        }
        tensors.set(entry.name, entry);
      }
    }
    if (map !== undefined) compareWithIndex(tensors, map);
    return {
      folder,
      tensors,
      async readInto(entry, start, target) {
        const handle = handles.get(entry.file);
        if (handle === undefined || start + target.length > entry.bytes) {
          throw new Error(`read outside of tensor ${entry.name}`);
        }
        await readFully(handle, target, entry.offset + start, basename(entry.file));
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
