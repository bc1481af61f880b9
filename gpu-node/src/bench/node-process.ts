// A node to put under load: `blip2 serve` as it is, in a process of its own, with a probe of its event loop beside it.
import { fork } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { FromProbe, Lag, ToProbe } from "./lag-messages.ts";

/** A path and no import: the command line stands above this room. */
const cliPath = fileURLToPath(new URL("../cli/main.ts", import.meta.url));
const probePath = new URL("./lag-probe.ts", import.meta.url).href;

const readyTimeoutMs = 300_000;
const stopGraceMs = 15_000;
const keptLines = 10;

const listeningSchema = z.object({
  url: z.string(),
  pid: z.int(),
  engine_pids: z.array(z.int()),
});

export interface ServedNode {
  readonly url: string;
  /** From the start of the process to the line that says it is ready. */
  readonly readySeconds: number;
  /** Door and engines. */
  readonly pids: readonly number[];
  resetLag(): void;
  readLag(): Promise<Lag>;
  stop(): Promise<void>;
}

export interface ServeSettings {
  readonly artifact: string;
  readonly threads: number;
  readonly provider: string;
  /** Further flags of `blip2 serve`. */
  readonly serveFlags: readonly string[];
  /** `id:secret` of the key that signs. */
  readonly keys: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Errors: `usage` with the node's last words when it does not start; the signal's reason. */
export async function serveNode(settings: ServeSettings): Promise<ServedNode> {
  const { artifact, threads, provider, serveFlags, keys, env, signal } = settings;
  signal.throwIfAborted();
  const startedAt = performance.now();
  const flags = [
    ...["--model", artifact, "--threads", String(threads), "--provider", provider],
    // What is measured is how work is done, not what is refused: a load may be minutes of it.
    ...["--max-queue-seconds", "3600"],
  ];
  const child = fork(cliPath, ["serve", ...flags, ...serveFlags], {
    execArgv: ["--import", probePath],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: { ...env, BLIP2_NODE_KEYS: keys },
  });
  const lastLines: string[] = [];
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("the node's output is not piped");
  createInterface({ input: stderr }).on("line", (line) => {
    if (lastLines.push(line) > keptLines) lastLines.shift();
  });
  const exited = once(child, "exit");
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), stopGraceMs);
    await exited;
    clearTimeout(force);
  };
  try {
    const bound = AbortSignal.any([signal, AbortSignal.timeout(readyTimeoutMs)]);
    const line = await Promise.race([
      once(createInterface({ input: stdout }), "line", { signal: bound }),
      exited.then((): [] => []),
    ]);
    const readySeconds = (performance.now() - startedAt) / 1000;
    const told: unknown = line[0] === undefined ? undefined : JSON.parse(String(line[0]));
    const listening = listeningSchema.safeParse(told);
    if (!listening.success) throw new Error("the node ended before it was ready");
    const { url, pid, engine_pids: enginePids } = listening.data;
    const send = (message: ToProbe): void => void child.send(message);
    return {
      url,
      readySeconds,
      pids: [pid, ...enginePids],
      resetLag: () => send({ type: "reset" }),
      async readLag() {
        const answered = once(child, "message", { signal });
        send({ type: "read" });
        const [{ type: _, ...lag }] = (await answered) as [FromProbe];
        return lag;
      },
      stop,
    };
  } catch (cause) {
    await stop();
    signal.throwIfAborted();
    const words = lastLines.join("\n");
    throw new AppError("usage", `blip2 serve did not become ready. It said:\n${words}`, { cause });
  }
}
