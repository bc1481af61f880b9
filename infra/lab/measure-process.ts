// Runs a command to its end and says how long it took and how much memory it held at most.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

export interface Measured {
  readonly seconds: number;
  /** High-water mark of resident memory; mapped files count as far as they were touched. */
  readonly peakRssBytes: number;
  readonly stdout: string;
  readonly code: number;
}

/**
 * Errors: one that ends with the command's own words when it ends with another status than these. Linux only: it
 * reads /proc.
 */
export async function measureProcess(
  command: string,
  args: readonly string[],
  accepted: readonly number[] = [0],
): Promise<Measured> {
  const startedAt = performance.now();
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text) => (stdout += String(text)));
  child.stderr.on("data", (text) => (stderr = (stderr + String(text)).slice(-2000)));
  let peakRssBytes = 0;
  const ended = new AbortController();
  const closed = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode) => {
      ended.abort();
      resolve(exitCode);
    });
  });
  while (!ended.signal.aborted) {
    const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
    const kilobytes = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
    peakRssBytes = Math.max(peakRssBytes, kilobytes * 1024);
    await sleep(50);
  }
  const code = await closed;
  const seconds = (performance.now() - startedAt) / 1000;
  if (code === null || !accepted.includes(code))
    throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${stderr}`);
  return { seconds, peakRssBytes, stdout, code };
}
