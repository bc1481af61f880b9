// The cache of Python's huggingface_hub on disk: blobs under their digest, a folder of links for each
// commit, the commit of each branch. A link appears when its blob is whole, a ref when its snapshot is.
import { randomUUID } from "node:crypto";
import { copyFile, mkdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  companionFiles,
  configFile,
  indexFile,
  shardsOfIndex,
  weightsFile,
} from "./model-files.ts";
import { isCommit } from "./repo-name.ts";

export interface Snapshot {
  readonly commit: string;
  readonly path: string;
  /** Those of a checkpoint that are there. */
  readonly files: number;
  readonly bytes: number;
}

const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  );

const readText = (path: string): Promise<string | undefined> =>
  readFile(path, "utf8").catch(() => undefined);

/** Written beside and renamed, so that a reader never sees half of it. */
async function writeWhole(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(draft, text);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

export function openCacheLayout(cacheFolder: string, repo: string) {
  const folderName = `models--${repo.replace("/", "--")}`;
  const folder = join(cacheFolder, folderName);
  const blobPath = (digest: string): string => join(folder, "blobs", digest);
  /** Apart from Python's own name for it, which a Python process may be writing to. */
  const partialPath = (digest: string): string => `${blobPath(digest)}.blip2.incomplete`;
  const snapshotPath = (commit: string): string => join(folder, "snapshots", commit);
  const filePath = (commit: string, file: string): string => join(snapshotPath(commit), file);
  const absentPath = (commit: string, file: string) => join(folder, ".no_exist", commit, file);
  const fileSize = (commit: string, file: string) => sizeOf(filePath(commit, file));

  /** True when the commit is known to have no such file. */
  const isAbsent = async (commit: string, file: string): Promise<boolean> =>
    (await sizeOf(absentPath(commit, file))) !== undefined;

  async function weightFiles(commit: string): Promise<readonly string[] | undefined> {
    if ((await fileSize(commit, weightsFile)) !== undefined) return [weightsFile];
    const text = await readText(filePath(commit, indexFile));
    return text === undefined ? undefined : [indexFile, ...shardsOfIndex(text, repo)];
  }

  /** The commit's files, or undefined when config or weights are missing. */
  async function describe(commit: string): Promise<Snapshot | undefined> {
    const weights = await weightFiles(commit);
    if (weights === undefined) return undefined;
    const measure = (files: readonly string[]) =>
      Promise.all(files.map((file) => fileSize(commit, file)));
    const needed = await measure([configFile, ...weights]);
    if (needed.includes(undefined)) return undefined;
    const sizes = [...needed, ...(await measure(companionFiles))].filter(
      (size) => size !== undefined,
    );
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    return { commit, path: snapshotPath(commit), files: sizes.length, bytes };
  }

  return {
    folder,
    blobPath,
    partialPath,
    partialSize: async (digest: string) => (await sizeOf(partialPath(digest))) ?? 0,
    lockPath: join(cacheFolder, ".locks", folderName, "blip2.lock"),
    filePath,
    fileSize,
    blobSize: (digest: string) => sizeOf(blobPath(digest)),

    /** The commit that a revision stood for when it was last asked for. */
    async commitOf(revision: string): Promise<string | undefined> {
      if (isCommit(revision)) return revision;
      const commit = (await readText(join(folder, "refs", revision)))?.trim();
      return commit !== undefined && isCommit(commit) ? commit : undefined;
    },
    async writeRef(revision: string, commit: string): Promise<void> {
      const path = join(folder, "refs", revision);
      if (!isCommit(revision) && (await readText(path)) !== commit) await writeWhole(path, commit);
    },

    isAbsent,
    markAbsent: (commit: string, file: string) => writeWhole(absentPath(commit, file), ""),

    /** Puts a blob into a snapshot, over what stands there. Without symlinks, the blob itself. */
    async link(commit: string, file: string, digest: string): Promise<void> {
      const path = filePath(commit, file);
      const draft = `${path}.${randomUUID()}`;
      await mkdir(dirname(path), { recursive: true });
      try {
        await symlink(join("..", "..", "blobs", digest), draft).catch(() =>
          copyFile(blobPath(digest), draft),
        );
        await rename(draft, path);
      } catch (error) {
        await rm(draft, { force: true });
        throw error;
      }
    },

    describe,

    /** What a checkpoint cannot do without is there: config, tokenizer, picture settings, all weights. */
    async findComplete(commit: string): Promise<Snapshot | undefined> {
      const has = async (file: string) => (await fileSize(commit, file)) !== undefined;
      const settings =
        (await has("preprocessor_config.json")) || (await has("processor_config.json"));
      return settings && (await has("tokenizer.json")) ? describe(commit) : undefined;
    },

    /** All weights are there, and of every other file it is known whether the commit has it. */
    async findSettled(commit: string): Promise<Snapshot | undefined> {
      const known = await Promise.all(
        companionFiles.map(
          async (file) => (await fileSize(commit, file)) !== undefined || isAbsent(commit, file),
        ),
      );
      return known.includes(false) ? undefined : describe(commit);
    },
  };
}

export type CacheLayout = ReturnType<typeof openCacheLayout>;
