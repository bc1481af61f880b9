// The whole product on loopback: artifact, node, Worker, one key. Used by `npm start`, by the system
// tests and by the evaluation of the embedded model; it prints nothing itself.
import path from "node:path";
import { createClient, type Client } from "@blip2-edge/shared/client";
import { scopes } from "@blip2-edge/shared/contracts/keys";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { ensureArtifact } from "../../gpu-node/src/build/ensure-artifact.ts";
import type { PrecisionName } from "../../gpu-node/src/quantize/recipe.ts";
import { startNode, type NodeProcess } from "./node-process.ts";
import { devSecrets, lockState } from "./state.ts";
import { startWorker, type RunningWorker } from "./worker.ts";

const root = path.resolve(import.meta.dirname, "../..");
/** Production's clock strikes once a minute; here nobody should have to wait so long. */
const tickEveryMs = 10_000;
/** The embedded models: one that writes and one that compares, over the same vision tower. */
const embedded = { nano: "checkpoint", "nano-itm": "retrieval" } as const;

export interface StackOptions {
  readonly stateDir: string;
  /** Port of the Worker; 0 takes a free one. */
  readonly port: number;
  readonly allowFetch?: readonly string[];
  /** Folder for built artifacts; default `models` in the state folder. */
  readonly modelsDir?: string;
  /** Of both models; full by default. */
  readonly precision?: PrecisionName;
  /** Used instead of the key that the state folder keeps. */
  readonly apiKey?: string;
  /** More variables of the Worker, e.g. shorter timeouts in tests. */
  readonly vars?: Readonly<Record<string, string>>;
  readonly nodeArgs?: readonly string[];
  /** What a person would want to read while it starts. */
  readonly say: (line: string) => void;
  /** Log lines of node and Worker. */
  readonly log: (line: string) => void;
  readonly signal?: AbortSignal;
}

export interface Stack {
  readonly url: string;
  readonly apiKey: string;
  readonly client: Client;
  readonly node: NodeProcess;
  readonly worker: RunningWorker;
  readonly nodeKeys: readonly { readonly id: string; readonly secret: string }[];
  /** This process and every process it started. */
  pids(): { pid: number; name: string }[];
  /** Stops everything, the Worker first, and frees the state folder. */
  stop(): Promise<void>;
}

/** Brings the stack up; when a step fails, what was started before it is stopped again. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { stateDir, say, log } = options;
  const signal = options.signal ?? new AbortController().signal;
  const undo: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    const lock = await lockState(stateDir, say);
    undo.push(() => lock.release());
    const secrets = await devSecrets(stateDir, async () => (await createApiKey()).key);
    const apiKey = options.apiKey ?? secrets.api_key;

    const modelDirs = [];
    for (const [name, folder] of Object.entries(embedded)) {
      const artifact = await ensureArtifact({
        checkpoint: path.join(root, "gpu-node/nano", folder),
        root: options.modelsDir ?? path.join(stateDir, "models"),
        name,
        ...(options.precision === undefined ? {} : { precision: options.precision }),
        signal,
        log: say,
      });
      modelDirs.push(artifact);
      signal.throwIfAborted();
    }
    // Written down as soon as there is something to end, and whenever a process gets another pid.
    let running: { node?: NodeProcess; worker?: RunningWorker } = {};
    const children = () => [...(running.worker?.pids() ?? []), ...(running.node?.pids() ?? [])];
    const record = () => lock.record(running.worker?.url, children());
    const node = await startNode({
      modelDirs,
      keys: secrets.node_keys,
      args: options.nodeArgs ?? [],
      log,
      onRestart: () => record().catch((error: unknown) => log(`lock file: ${String(error)}`)),
    });
    undo.push(() => node.stop());
    running = { node };
    await record();
    signal.throwIfAborted();
    const worker = await startWorker({
      port: options.port,
      stateDir: path.join(stateDir, "worker"),
      nodeUrl: node.url,
      nodeKeys: secrets.node_keys,
      allowFetch: options.allowFetch ?? [],
      vars: { OAUTH: "true", ...options.vars },
      tickEveryMs,
      log,
    });
    undo.push(() => worker.stop());
    running = { node, worker };
    await record();
    await worker.putKey({ key: apiKey, tenant: "dev", name: "development key", scopes });
    return {
      url: worker.url,
      apiKey,
      client: createClient({ url: worker.url, key: apiKey }),
      node,
      worker,
      nodeKeys: secrets.node_keys,
      pids: () => [{ pid: process.pid, name: "npm start" }, ...children()],
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
