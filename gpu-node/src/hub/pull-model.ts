// The flow of a download: which commit, which of its files are missing, is there room, fetch, link.
// A ref moves only when its snapshot is whole, so an interrupted pull never hides an older whole one.
import { mkdir, readFile, statfs } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { AppError } from "@blip2-edge/shared/problem";
import { explainDiskError } from "../disk/explain-disk-error.ts";
import { type CacheLayout, openCacheLayout, type Snapshot } from "./cache-layout.ts";
import { downloadBlob } from "./download-blob.ts";
import { askFileFacts, type FileFacts, type HubAccess } from "./file-facts.ts";
import type { HubTools } from "./hub-request.ts";
import {
  companionFiles,
  configFile,
  indexFile,
  maxCompanionBytes,
  pickledFiles,
  shardsOfIndex,
  weightsFile,
} from "./model-files.ts";
import { isCommit, type RepoName } from "./repo-name.ts";
import { withRepoLock } from "./repo-lock.ts";
import type { HubSettings } from "./settings.ts";

export interface PullOptions {
  readonly name: RepoName;
  readonly settings: HubSettings;
  readonly signal: AbortSignal;
  /** Explanations, a line each. */
  readonly log: (line: string) => void;
  /** Bytes that are there, of those that were missing; may fall back when a file starts over. */
  readonly onProgress?: (doneBytes: number, totalBytes: number, file: string) => void;
  readonly tools?: HubTools;
  /** Free bytes of the disk under a folder. */
  readonly freeBytes?: (folder: string) => Promise<number>;
}

const defaultTools: HubTools = {
  fetch: globalThis.fetch,
  wait: (ms, signal) => setTimeout(ms, undefined, { signal }),
  now: Date.now,
  random: Math.random,
};

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

const inMegabytes = (bytes: number): string =>
  `${(bytes / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
/** HEADs under way at once. */
const maxAtOnce = 8;

async function mapBounded<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += maxAtOnce) {
    results.push(...(await Promise.all(items.slice(at, at + maxAtOnce).map(work))));
  }
  return results;
}

/** The run of one pull: what it asks, where it writes, how far it is. */
function startPull(options: PullOptions, layout: CacheLayout, access: HubAccess, commit: string) {
  const { name, freeBytes = freeBytesOf, onProgress = () => undefined } = options;
  const { repo } = name;

  /** The facts of a file that is not in the snapshot; undefined when it is, or the commit has none. */
  async function factsOfMissing(file: string): Promise<FileFacts | undefined> {
    if ((await layout.fileSize(commit, file)) !== undefined) return undefined;
    if (await layout.isAbsent(commit, file)) return undefined;
    const facts = await askFileFacts(access, repo, commit, file);
    if (facts === undefined) await layout.markAbsent(commit, file);
    return facts;
  }

  const isThere = async (file: string, facts: FileFacts | undefined): Promise<boolean> =>
    facts !== undefined || (await layout.fileSize(commit, file)) !== undefined;

  async function requireRoom(missing: readonly FileFacts[], startBytes: readonly number[]) {
    const needed = missing.reduce(
      (sum, { sizeBytes }, at) => sum + sizeBytes - (startBytes[at] ?? 0),
      0,
    );
    const free = await freeBytes(layout.folder);
    if (needed <= free) return;
    throw new AppError(
      "usage",
      `${repo} needs ${inMegabytes(needed)} more and ${layout.folder} has ${inMegabytes(free)} free. Make room, or set HF_HUB_CACHE to a folder on another disk.`,
    );
  }

  async function fetchAll(wanted: readonly FileFacts[]): Promise<void> {
    const blobSizes = await Promise.all(wanted.map(({ digest }) => layout.blobSize(digest.hex)));
    const missing = wanted.filter(({ sizeBytes }, at) => blobSizes[at] !== sizeBytes);
    const starts = await Promise.all(missing.map(({ digest }) => layout.partialSize(digest.hex)));
    await requireRoom(missing, starts);
    const positions = new Map(missing.map(({ file }, at) => [file, starts[at] ?? 0]));
    const total = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const facts of missing) {
      const target = {
        repo,
        partialPath: layout.partialPath(facts.digest.hex),
        blobPath: layout.blobPath(facts.digest.hex),
        onPosition(bytes: number) {
          positions.set(facts.file, bytes);
          onProgress(
            [...positions.values()].reduce((sum, one) => sum + one, 0),
            total,
            facts.file,
          );
        },
      };
      await downloadBlob(facts, target, access);
      await layout.link(commit, facts.file, facts.digest.hex);
    }
    for (const { file, digest } of wanted) {
      if ((await layout.fileSize(commit, file)) === undefined) {
        await layout.link(commit, file, digest.hex);
      }
    }
  }

  async function refuseWithoutSafetensors(): Promise<never> {
    const pickled = await Promise.all(
      pickledFiles.map((file) => askFileFacts(access, repo, commit, file)),
    );
    throw new AppError(
      "checkpoint_invalid",
      pickled.some((facts) => facts !== undefined)
        ? `${repo}@${name.revision} holds pickled weights (pytorch_model*.bin) only, which are not fetched because loading a pickle can run code. Look for a revision with safetensors (refs/pr/…), or save the model as safetensors.`
        : `${repo}@${name.revision} holds neither ${weightsFile} nor ${indexFile}. Is it a model's repository?`,
    );
  }

  /** The weights that are missing; an index is fetched on the way, because it names them. */
  async function missingWeights(): Promise<readonly FileFacts[]> {
    const single = await factsOfMissing(weightsFile);
    if (await isThere(weightsFile, single)) return single === undefined ? [] : [single];
    const index = await factsOfMissing(indexFile);
    if (!(await isThere(indexFile, index))) return refuseWithoutSafetensors();
    if (index !== undefined) {
      requireSmall([index]);
      await fetchAll([index]);
    }
    const shards = shardsOfIndex(await readFile(layout.filePath(commit, indexFile), "utf8"), repo);
    const facts = await mapBounded(shards, async (shard) => {
      const found = await factsOfMissing(shard);
      if (await isThere(shard, found)) return found;
      throw new AppError(
        "checkpoint_invalid",
        `${repo}: ${indexFile} names ${shard}, which the repository does not have.`,
      );
    });
    return facts.filter((one) => one !== undefined);
  }

  function requireSmall(files: readonly FileFacts[]): void {
    const large = files.find(({ sizeBytes }) => sizeBytes > maxCompanionBytes);
    if (large === undefined) return;
    throw new AppError(
      "checkpoint_invalid",
      `${large.file} of ${repo} has ${large.sizeBytes} bytes; at most ${maxCompanionBytes} are fetched.`,
    );
  }

  return async (config: FileFacts): Promise<void> => {
    const others = await mapBounded(companionFiles, factsOfMissing);
    const hasConfig = (await layout.fileSize(commit, configFile)) !== undefined;
    const companions = [
      ...(hasConfig ? [] : [config]),
      ...others.filter((one) => one !== undefined),
    ];
    requireSmall(companions);
    await fetchAll([...companions, ...(await missingWeights())]);
  };
}

async function pullWhole(options: PullOptions, layout: CacheLayout, config: FileFacts) {
  const { name, settings, signal, log, tools = defaultTools } = options;
  const { commit } = config;
  await mkdir(layout.folder, { recursive: true });
  const onWait = () => log(`Another download of ${name.repo} is under way; waiting for it.`);
  await withRepoLock(layout.lockPath, tools, signal, onWait, async (held) => {
    await startPull(options, layout, { settings, tools, signal: held, log }, commit)(config);
    await layout.writeRef(name.revision, commit);
  });
  const snapshot = await layout.describe(commit);
  if (snapshot !== undefined) return snapshot;
  throw new AppError("hub_unavailable", `The files of ${name.repo} went away while it was pulled.`);
}

function notCached({ name, settings }: PullOptions, why: string): AppError {
  return new AppError(
    "hub_unavailable",
    `${why}, and ${settings.cacheFolder} holds no whole copy of ${name.repo}@${name.revision}.`,
  );
}

/**
 * Makes the checkpoint's files be in the cache. A commit that is there whole needs no network; a branch
 * or tag is asked for once, and what is there serves when the hub cannot be reached.
 * Errors: `hub_refused`, `hub_unavailable`, `hub_mismatch`; `checkpoint_invalid` for a repository
 * without safetensors; `usage` when the disk has no room.
 */
export async function pullModel(options: PullOptions): Promise<Snapshot> {
  const { name, settings, signal, log, tools = defaultTools } = options;
  const { repo, revision } = name;
  const layout = openCacheLayout(settings.cacheFolder, repo);
  const cachedCommit = await layout.commitOf(revision);
  const cached = cachedCommit === undefined ? undefined : await layout.findComplete(cachedCommit);
  if (settings.offline) {
    if (cached !== undefined) return cached;
    throw notCached(options, "Offline mode is on (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE)");
  }
  if (isCommit(revision)) {
    const settled = await layout.findSettled(revision);
    if (settled !== undefined) return settled;
  }
  const access = { settings, tools, signal, log };
  const config = await askFileFacts(access, repo, revision, configFile).catch((error: unknown) => {
    if (cached === undefined || !(error instanceof AppError) || error.code !== "hub_unavailable") {
      throw error;
    }
    log(`${error.detail} Taking what the cache has of ${repo}@${revision}: ${cached.commit}.`);
    return "unreachable" as const;
  });
  if (config === "unreachable" && cached !== undefined) return cached;
  if (config === undefined || config === "unreachable") {
    throw new AppError(
      "checkpoint_invalid",
      `${repo}@${revision} has no ${configFile}. Is it a model's repository?`,
    );
  }
  if (isCommit(revision) && config.commit !== revision) {
    throw new AppError(
      "hub_mismatch",
      `${settings.endpoint} answered with commit ${config.commit} when asked for ${revision}.`,
    );
  }
  try {
    const settled = await layout.findSettled(config.commit);
    if (settled !== undefined) {
      await layout.writeRef(revision, settled.commit);
      return settled;
    }
    return await pullWhole(options, layout, config);
  } catch (error) {
    throw explainDiskError(error, layout.folder, "HF_HUB_CACHE names another.");
  }
}
