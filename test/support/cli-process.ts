// One of the two command lines as a process: what it printed and logged, and how it ended.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { root } from "./stack.ts";
import type { LogLine } from "./served-node.ts";

const entries = { blip2: "gpu-node", "blip2-edge": "mcp-server" } as const;

export interface CliProcess {
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  /** Lines of standard error that are JSON with this event. */
  logged(event: string): LogLine[];
  /** Resolves with the first line of standard output, undefined when there was none. */
  readonly firstLine: Promise<string | undefined>;
  /** The status, or the name of the signal. */
  readonly ended: Promise<number | string>;
  signal(name: NodeJS.Signals): void;
}

export function cli(
  program: keyof typeof entries,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): CliProcess {
  const main = path.join(root, entries[program], "src/cli/main.ts");
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const [stdout, stderr]: [string[], string[]] = [[], []];
  const out = createInterface({ input: child.stdout }).on("line", (line) => stdout.push(line));
  createInterface({ input: child.stderr }).on("line", (line) => stderr.push(line));
  const ended = once(child, "close").then(([status, name]) => (status ?? name) as number | string);
  const first = once(out, "line").then(([line]) => line as string);
  return {
    stdout,
    stderr,
    logged: (event) =>
      stderr
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line) as LogLine)
        .filter((line) => line.event === event),
    firstLine: Promise.race([first, ended.then(() => undefined)]),
    ended,
    signal: (name) => void child.kill(name),
  };
}
