// Whether a process that was written down earlier still runs. A pid alone is not an identity, since
// the system gives it away again: pid and start time together are.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface ProcessIdentity {
  readonly pid: number;
  readonly name: string;
  /** When it started, in whatever form the system tells it. */
  readonly started: string;
}

/** The start time of a running process, or undefined when there is none (zombies count as none). */
function startTime(pid: number): string | undefined {
  try {
    // Field 22 of /proc/PID/stat, counted after the command name, which may hold spaces (proc(5)).
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    if (process.platform === "linux") return undefined;
  }
  try {
    const line = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], {
      encoding: "utf8",
    }).trim();
    return line === "" ? undefined : line;
  } catch {
    return undefined;
  }
}

export function identify(pid: number, name: string): ProcessIdentity | undefined {
  const started = startTime(pid);
  return started === undefined ? undefined : { pid, name, started };
}

export const isRunning = (identity: ProcessIdentity): boolean =>
  startTime(identity.pid) === identity.started;

/** Ends a process: SIGTERM, then SIGKILL after `graceMs`. Resolves when it is gone. */
export async function endProcess(identity: ProcessIdentity, graceMs = 5000): Promise<void> {
  const pollMs = 50;
  for (const [signal, waitMs] of [
    ["SIGTERM", graceMs],
    ["SIGKILL", 2000],
  ] as const) {
    if (!isRunning(identity)) return;
    try {
      process.kill(identity.pid, signal);
    } catch {
      return;
    }
    for (let waitedMs = 0; waitedMs < waitMs && isRunning(identity); waitedMs += pollMs) {
      await sleep(pollMs);
    }
  }
}
