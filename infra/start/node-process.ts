// The node as a child of the local stack: `blip2 serve` under this same Node, started again with
// backoff when it ends unasked. It is reached over HTTP only, as in production.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import { formatSigningKeys } from "./signing-keys.ts";

const root = path.resolve(import.meta.dirname, "../..");
const firstBackoffMs = 500;
const maxBackoffMs = 10_000;
const readyTimeoutMs = 120_000;
const stopGraceMs = 10_000;
const keptErrorLines = 20;

const listeningSchema = z.object({
  event: z.literal("listening"),
  url: z.string(),
  pid: z.int(),
  engine_pids: z.array(z.int()),
});
const engineReadySchema = z.object({ event: z.literal("engine_ready"), engine_pid: z.int() });
type Listening = z.infer<typeof listeningSchema>;

export interface NodeProcess {
  readonly url: string;
  /** Door and engines that run now. */
  pids(): { pid: number; name: string }[];
  stop(): Promise<void>;
}

export interface NodeProcessOptions {
  readonly modelDirs: readonly string[];
  readonly keys: readonly { readonly id: string; readonly secret: string }[];
  readonly host?: string;
  /** 0 takes a free port; a restart keeps the port of the first start. */
  readonly port?: number;
  readonly args?: readonly string[];
  readonly log: (line: string) => void;
  /** Door or engine run under another pid now. */
  readonly onRestart?: () => unknown;
}

/** Starts the node and resolves once it is ready to answer. */
export async function startNode(options: NodeProcessOptions): Promise<NodeProcess> {
  const host = options.host ?? "127.0.0.1";
  let port = options.port ?? 0;
  let child: ChildProcess;
  let listening: Listening;
  let enginePids: readonly number[] = [];
  let stopping = false;
  let backoffMs = firstBackoffMs;
  let restart: NodeJS.Timeout | undefined;

  const launch = async (): Promise<void> => {
    child = spawn(
      process.execPath,
      [
        path.join(root, "gpu-node/src/cli/main.ts"),
        "serve",
        ...options.modelDirs.flatMap((dir) => ["--model", dir]),
        "--host",
        host,
        "--port",
        String(port),
        ...(options.args ?? []),
      ],
      {
        // Its own group: Ctrl-C in the terminal reaches this process alone, which then stops the node
        // after the Worker, so that what is in flight is answered.
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, BLIP2_NODE_KEYS: formatSigningKeys(options.keys) },
      },
    );
    const lastLines: string[] = [];
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Error("the node's output is not piped");
    createInterface({ input: stderr }).on("line", (line) => {
      options.log(line);
      const enginePid = startedEngine(line);
      if (enginePid !== undefined) {
        enginePids = [enginePid];
        options.onRestart?.();
      }
      if (lastLines.push(line) > keptErrorLines) lastLines.shift();
    });
    listening = await firstLine(child, createInterface({ input: stdout }), lastLines);
    port = Number(new URL(listening.url).port);
    enginePids = listening.engine_pids;
    child.once("exit", (code, signal) => {
      if (!stopping) restartLater(signal ?? `exit ${code}`);
    });
  };
  const restartLater = (why: string): void => {
    options.log(`the node ended (${why}); starting it again in ${backoffMs} ms`);
    restart = setTimeout(() => void launchAgain(), backoffMs);
    backoffMs = Math.min(backoffMs * 2, maxBackoffMs);
  };
  const launchAgain = async (): Promise<void> => {
    try {
      await launch();
      backoffMs = firstBackoffMs;
      options.onRestart?.();
    } catch (error) {
      if (!stopping) restartLater(error instanceof Error ? error.message : String(error));
    }
  };
  await launch();

  return {
    url: listening!.url,
    pids: () => [
      ...(child.pid === undefined || child.exitCode !== null
        ? []
        : [{ pid: child.pid, name: "node" }]),
      ...enginePids.map((pid) => ({ pid, name: "engine" })),
    ],
    async stop() {
      stopping = true;
      clearTimeout(restart);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      const force = setTimeout(() => child.kill("SIGKILL"), stopGraceMs);
      await gone;
      clearTimeout(force);
    },
  };
}

/** The engine that a log line of the node says is ready: the door starts one anew when it dies. */
function startedEngine(line: string): number | undefined {
  if (!line.includes('"engine_ready"')) return undefined;
  try {
    return engineReadySchema.safeParse(JSON.parse(line)).data?.engine_pid;
  } catch {
    return undefined;
  }
}

/** Waits for the line that says where the node listens; its last words are the error if it ends first. */
function firstLine(
  child: ChildProcess,
  lines: ReturnType<typeof createInterface>,
  lastLines: readonly string[],
): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      clearTimeout(timer);
      child.kill("SIGKILL");
      reject(new Error(`the node did not start: ${why}\n${lastLines.join("\n")}`));
    };
    const timer = setTimeout(
      () => fail(`not ready within ${readyTimeoutMs / 1000} s`),
      readyTimeoutMs,
    );
    child.once("error", (error) => fail(error.message));
    child.once("exit", (code, signal) => fail(signal ?? `exit ${code}`));
    lines.once("line", (line) => {
      const parsed = listeningSchema.safeParse(JSON.parse(line));
      if (!parsed.success) return fail(`unexpected output: ${line}`);
      clearTimeout(timer);
      child.removeAllListeners("exit");
      resolve(parsed.data);
    });
  });
}
