// A real node for tests that hurt it: `blip2 serve` as a child on loopback, what it logged, the processes that
// are its children, and how it ended. Nothing here starts it again.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "./stack.ts";

export const nodeKeys = "test:0123456789abcdef0123456789abcdef";

export interface LogLine {
  readonly [field: string]: unknown;
  readonly event?: string;
}

/** A process as the kernel lists it; state Z is a zombie. */
export interface Child {
  readonly pid: number;
  readonly state: string;
}

export interface ServedNode {
  readonly url: string;
  /** Of the door. */
  readonly pid: number;
  readonly started: boolean;
  /** The newest of what it logged, parsed; lines that are no JSON are under `text`. */
  readonly lines: readonly LogLine[];
  logged(event: string): LogLine[];
  /** Every process whose parent is the door. */
  children(): Promise<Child[]>;
  /** The one child, which is the engine. */
  enginePid(): Promise<number>;
  isReady(): Promise<boolean>;
  untilReady(limitMs?: number): Promise<void>;
  /** Memory and handles of the door after garbage collection; needs `probed`. */
  probe(): Promise<LogLine>;
  signal(name: NodeJS.Signals): void;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** Ends it in order, with force after a while. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  readonly models: readonly string[];
  readonly args?: readonly string[];
  /** Loads door-probe.ts into the door. */
  readonly probed?: boolean;
  /** Hears of the door's process before it has started. */
  readonly onSpawn?: (pid: number) => void;
}

const keptLines = 5000;
const startLimitMs = 60_000;

export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 20_000,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${limitMs} ms`);
    await sleep(20);
  }
}

export const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** Reads /proc, so that zombies are seen too. */
export async function childrenOf(parent: number): Promise<Child[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
      // The name before it may hold blanks and parentheses.
      const [state = "", ppid = ""] = text.slice(text.lastIndexOf(")") + 2).split(" ");
      return { pid: Number(pid), state, ppid: Number(ppid) };
    }),
  );
  return stats.filter(({ ppid }) => ppid === parent).map(({ pid, state }) => ({ pid, state }));
}

const parse = (line: string): LogLine => {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { text: line };
  }
};

/** Resolves once it listens, or once it has ended instead. */
export async function serveNode(options: ServeOptions): Promise<ServedNode> {
  const { models, args = [], probed = false } = options;
  const probe = path.join(import.meta.dirname, "door-probe.ts");
  const child = spawn(
    process.execPath,
    [
      ...(probed ? ["--expose-gc", "--import", probe] : []),
      path.join(root, "gpu-node/src/cli/main.ts"),
      "serve",
      ...models.flatMap((dir) => ["--model", dir]),
      ...["--threads", "1"],
      ...args,
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, BLIP2_NODE_KEYS: nodeKeys } },
  );
  const { pid } = child;
  if (pid === undefined) throw new Error("the node could not be spawned");
  options.onSpawn?.(pid);
  const lines: LogLine[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    lines.push(parse(line));
    if (lines.length > keptLines) lines.shift();
  });
  const ended = once(child, "exit").then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
  }));
  const listening = once(createInterface({ input: child.stdout }), "line").then(
    ([line]) => (JSON.parse(String(line)) as { url: string }).url,
  );
  const tooLate = sleep(startLimitMs, undefined, { ref: false }).then(() => {
    child.kill("SIGKILL");
    throw new Error(
      `the node did not start; it said:\n${lines.map((l) => JSON.stringify(l)).join("\n")}`,
    );
  });
  const url = await Promise.race([listening, ended.then(() => undefined), tooLate]);

  const node: ServedNode = {
    url: url ?? "http://127.0.0.1:1",
    pid,
    started: url !== undefined,
    lines,
    logged: (event) => lines.filter((line) => line.event === event),
    children: () => childrenOf(pid),
    async enginePid() {
      const [engine, ...others] = await childrenOf(pid);
      if (engine === undefined || others.length > 0) throw new Error("not exactly one engine runs");
      return engine.pid;
    },
    isReady: async () => (await fetch(`${node.url}/readyz`)).status === 200,
    untilReady: (limitMs) => until(() => node.isReady(), "the node is ready", limitMs),
    async probe() {
      const before = node.logged("probe").length;
      child.kill("SIGUSR2");
      await until(() => node.logged("probe").length > before, "the door answers the probe");
      return node.logged("probe").at(-1) ?? {};
    },
    signal: (name) => void child.kill(name),
    ended,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const force = setTimeout(() => child.kill("SIGKILL"), 15_000);
      await ended;
      clearTimeout(force);
    },
  };
  return node;
}
