// One download of a repository at a time on a cache: a file that its holder keeps fresh. One that went
// stale belongs to a process that died and is taken over. Python's locks are of another kind (flock),
// which Node cannot take; against Python the partial files' own names and the digests protect.
import { randomUUID } from "node:crypto";
import { link, mkdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import type { HubTools } from "./hub-request.ts";

const beatMs = 5000;
const staleMs = 60_000;
const pollMs = 300;

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;

const ageMs = (path: string, nowMs: number): Promise<number | undefined> =>
  stat(path).then(
    ({ mtimeMs }) => nowMs - mtimeMs,
    () => undefined,
  );

/** Takes a dead process's lock away. Between the look and the move another may have renewed it. */
async function removeStale(path: string, nowMs: number): Promise<void> {
  const taken = `${path}.${randomUUID()}`;
  try {
    await rename(path, taken);
    if (((await ageMs(taken, nowMs)) ?? staleMs) < staleMs) await link(taken, path);
  } catch (error) {
    if (!hasCode(error, "ENOENT") && !hasCode(error, "EEXIST")) throw error;
  } finally {
    await rm(taken, { force: true });
  }
}

async function take(path: string, token: string): Promise<boolean> {
  try {
    await writeFile(path, token, { flag: "wx" });
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

/**
 * Runs `work` while holding the lock at `path`; its signal aborts too when the lock is lost.
 * `onWait` is called once when another holds it.
 */
export async function withRepoLock<T>(
  path: string,
  tools: HubTools,
  signal: AbortSignal,
  onWait: () => void,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const token = randomUUID();
  await mkdir(dirname(path), { recursive: true });
  for (let waited = false; !(await take(path, token)); waited = true) {
    const age = await ageMs(path, tools.now());
    if (age !== undefined && age >= staleMs) {
      await removeStale(path, tools.now());
      continue;
    }
    if (!waited) onWait();
    await tools.wait(pollMs, signal);
  }
  const holds = async () => (await readFile(path, "utf8").catch(() => "")) === token;
  const lost = new AbortController();
  const beat = setInterval(() => {
    const keep = async () => {
      if (!(await holds())) throw new Error("another token");
      const now = new Date(tools.now());
      await utimes(path, now, now);
    };
    keep().catch((cause: unknown) => {
      const detail = "Another process took over this download; it was stopped here.";
      lost.abort(new AppError("hub_unavailable", detail, { cause }));
    });
  }, beatMs);
  try {
    return await work(AbortSignal.any([signal, lost.signal]));
  } finally {
    clearInterval(beat);
    if (await holds()) await rm(path, { force: true });
  }
}
