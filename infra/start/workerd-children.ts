// What Miniflare does not say of its processes, and what it does to ours.
import { readdirSync, readFileSync } from "node:fs";

/** Child processes of this one that are workerd; Miniflare does not tell their ids. Linux only. */
export function workerdChildren(): { pid: number; name: string }[] {
  const found: { pid: number; name: string }[] = [];
  let entries: string[];
  try {
    entries = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry));
  } catch {
    return found;
  }
  for (const entry of entries) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(parent) === process.pid && stat.includes("(workerd)")) {
        found.push({ pid: Number(entry), name: "workerd" });
      }
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/**
 * Miniflare ends the process at once on a signal. When to end is for the entry to say: a node that still
 * answers must be stopped too. Its hook on `exit`, which ends workerd, stays.
 */
export function withoutNewSignalHandlers<T>(make: () => T): T {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const before = signals.map((signal) => new Set(process.listeners(signal)));
  const made = make();
  signals.forEach((signal, at) => {
    for (const listener of process.listeners(signal)) {
      if (before[at]?.has(listener) !== true) process.removeListener(signal, listener);
    }
  });
  return made;
}
