// One file's content into the cache: resumed where it ended, started over when the server will not
// resume, and given its name only when size and digest are right. A partial file survives everything
// but a wrong digest.
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { startBackoff, watchForStall } from "./backoff.ts";
import { type RunningDigest, startDigest } from "./content-digest.ts";
import { explainAnswer } from "./explain-answer.ts";
import { type FileFacts, fileUrl, type HubAccess } from "./file-facts.ts";
import { hubRequest } from "./hub-request.ts";

export interface BlobTarget {
  readonly repo: string;
  readonly partialPath: string;
  readonly blobPath: string;
  /** Called with the bytes of the file that are there; falls back when it is started over. */
  readonly onPosition: (bytes: number) => void;
}

/** An attempt that brought less does not reset the count of fruitless ones. */
const fruitfulBytes = 1024 * 1024;

/** The content is not what the hub announced: what has arrived is worthless. */
class WrongContent extends Error {}

/** The partial file, its digest so far, and how much of it there is. */
async function openPartial(
  handle: FileHandle,
  facts: FileFacts,
  target: BlobTarget,
  signal: AbortSignal,
) {
  let digest: RunningDigest = startDigest(facts.digest, facts.sizeBytes);
  let position = 0;
  const moveTo = (bytes: number): void => {
    position = bytes;
    target.onPosition(bytes);
  };
  async function startOver(): Promise<void> {
    await handle.truncate(0);
    digest = startDigest(facts.digest, facts.sizeBytes);
    moveTo(0);
  }
  const { size } = await handle.stat();
  if (size > facts.sizeBytes) await startOver();
  else if (size > 0) {
    for await (const chunk of createReadStream(target.partialPath, { signal, end: size - 1 })) {
      digest.update(chunk as Buffer);
    }
    moveTo(size);
  }
  return {
    position: () => position,
    startOver,
    matches: () => digest.matches(),
    async append(chunk: Uint8Array): Promise<void> {
      let written = 0;
      while (written < chunk.length) {
        const at = position + written;
        const left = chunk.length - written;
        written += (await handle.write(chunk, written, left, at)).bytesWritten;
      }
      digest.update(chunk);
      moveTo(position + chunk.length);
    },
  };
}

type Partial = Awaited<ReturnType<typeof openPartial>>;

/** True when a 206 carries the bytes that were asked for, of a file of the announced size. */
function continues(response: Response, position: number, sizeBytes: number): boolean {
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
  if (response.status !== 206 || range === null) return false;
  const [, start, end, total] = range;
  return (
    Number(start) === position &&
    Number(end) < sizeBytes &&
    (total === "*" || Number(total) === sizeBytes)
  );
}

/** One connection's worth of bytes. Throws when it drops, stalls or is refused. */
async function transfer(partial: Partial, facts: FileFacts, repo: string, access: HubAccess) {
  const { settings, tools, signal } = access;
  const { endpoint, token } = settings;
  const start = partial.position();
  const watch = watchForStall(signal, settings.stallTimeoutMs);
  try {
    const response = await hubRequest(
      {
        method: "GET",
        url: fileUrl(endpoint, repo, facts.commit, facts.file),
        token,
        headers: start === 0 ? {} : { range: `bytes=${start}-` },
        signal: watch.signal,
      },
      tools,
    );
    try {
      if (start > 0 && (response.status === 206 || response.status === 416)) {
        if (!continues(response, start, facts.sizeBytes)) {
          await partial.startOver();
          throw new Error("the server sent another part of the file than was asked for");
        }
      } else if (response.status !== 200) {
        const { commit: revision, file } = facts;
        const asked = { endpoint, repo, revision, file, withToken: token !== undefined };
        throw explainAnswer(response, asked, tools.now());
      } else if (start > 0) await partial.startOver();
      for await (const chunk of response.body ?? []) {
        watch.touch();
        if (partial.position() + chunk.length > facts.sizeBytes) {
          throw new WrongContent(`more than the ${facts.sizeBytes} bytes that the hub announced`);
        }
        await partial.append(chunk);
      }
    } finally {
      // Ends the connection where the body was not read to its end.
      await response.body?.cancel().catch(() => undefined);
    }
    if (partial.position() < facts.sizeBytes) {
      throw new Error(`ended after ${partial.position()} of ${facts.sizeBytes} bytes`);
    }
  } finally {
    watch.end();
  }
}

const isDiskError = (error: unknown): boolean =>
  error instanceof Error &&
  "syscall" in error &&
  ["write", "ftruncate"].includes(String(error.syscall));

async function fill(facts: FileFacts, target: BlobTarget, access: HubAccess): Promise<void> {
  const { signal, tools, log } = access;
  // Opened for reading and writing, made when there is none, never shortened: "r+" where it exists.
  const handle = await open(target.partialPath, "r+").catch(() => open(target.partialPath, "w+"));
  try {
    const partial = await openPartial(handle, facts, target, signal);
    const backoff = startBackoff(`${facts.file} of ${target.repo}`, tools, signal, {
      log,
      advice: "Pull again later: what has arrived is kept and resumed.",
    });
    // The furthest that an attempt came: going over the same ground again is no progress.
    let furthest = partial.position();
    while (partial.position() < facts.sizeBytes) {
      try {
        await transfer(partial, facts, target.repo, access);
      } catch (error) {
        if (error instanceof WrongContent || isDiskError(error)) throw error;
        if (partial.position() - furthest >= fruitfulBytes) backoff.progressed();
        furthest = Math.max(furthest, partial.position());
        await backoff.pause(error);
      }
    }
    if (!partial.matches())
      throw new WrongContent("content with another digest than the hub announced");
    await handle.sync();
  } finally {
    const { size } = await handle.stat();
    await handle.close();
    if (size === 0 && facts.sizeBytes > 0) await rm(target.partialPath, { force: true });
  }
}

/**
 * Fetches the file unless what is there is already whole.
 * Errors: `hub_refused`, `hub_unavailable`; `hub_mismatch` when wrong content came twice.
 */
export async function downloadBlob(
  facts: FileFacts,
  target: BlobTarget,
  access: HubAccess,
): Promise<void> {
  await mkdir(dirname(target.partialPath), { recursive: true });
  for (let again = false; ; again = true) {
    try {
      await fill(facts, target, access);
      await rename(target.partialPath, target.blobPath);
      return;
    } catch (error) {
      if (!(error instanceof WrongContent)) throw error;
      await rm(target.partialPath, { force: true });
      target.onPosition(0);
      if (again) {
        throw new AppError(
          "hub_mismatch",
          `${facts.file} of ${target.repo}: twice came ${error.message} (${facts.digest.algorithm} ${facts.digest.hex}). Nothing of it is kept; a proxy or mirror between here and the hub may be at fault.`,
        );
      }
      access.log(`${facts.file} came with ${error.message}. Fetching it anew.`);
    }
  }
}
