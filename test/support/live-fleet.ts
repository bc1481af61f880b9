// A local Worker and real nodes (nano, one thread each, processes on loopback) that announce themselves to it, each with
// a link to its artifact, a file of keys, and ways to and from the Worker that can be cut.
import { mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { startNode, type NodeProcess } from "../../infra/start/node-process.ts";
import { formatSigningKeys, type KeyText } from "../../infra/start/signing-keys.ts";
import { startWorker, type RunningWorker } from "../../infra/start/worker.ts";
import { startCuttable, type Cuttable } from "./cuttable.ts";
import type { LogLine } from "./served-node.ts";
import { steadyLoad, type Loader } from "./steady-load.ts";

export interface LiveNode {
  readonly name: string;
  /** As the Worker knows it. */
  readonly url: string;
  logged(event: string): LogLine[];
  /** Ends it in order and starts it again at the same place. */
  restart(): Promise<void>;
  /** Another artifact takes the place of what it serves; it is told so. */
  changeTo(artifact: string): Promise<void>;
  writeKeys(keys: readonly KeyText[]): Promise<void>;
  /** What it says of itself does not arrive, until it is healed. */
  mute(): void;
  cut(): void;
  heal(): void;
}

export interface LiveFleet {
  readonly worker: RunningWorker;
  readonly nodes: readonly LiveNode[];
  readonly load: Loader;
  /** Origins of the nodes that the registry lists now. */
  listed(): Promise<string[]>;
  stop(): Promise<void>;
}

export interface LiveFleetOptions {
  readonly artifact: string;
  /** The keys of each node that the Worker knows; it starts with the first of them. */
  readonly keysOf: Readonly<Record<string, readonly [KeyText, ...KeyText[]]>>;
}

export async function startLiveFleet({ artifact, keysOf }: LiveFleetOptions): Promise<LiveFleet> {
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    const folder = await mkdtemp(path.join(tmpdir(), "blip2-fleet-"));
    undo.push(() => rm(folder, { recursive: true }));
    const nodeKeys = Object.values(keysOf).flat();
    const events: Record<string, unknown>[] = [];
    const worker = await startWorker({
      port: 0,
      nodeUrl: "",
      nodeKeys,
      vars: {
        ANNOUNCE_ORIGINS: nodeKeys.map(({ id }) => `${id}=http://127.0.0.1:*`).join(","),
        HEARTBEAT_MS: "1000",
        NODE_LIST_TTL_MS: "500",
      },
      log: (line) => {
        if (line.startsWith("{")) events.push(JSON.parse(line) as Record<string, unknown>);
      },
    });
    undo.push(() => worker.stop());
    const { key: apiKey } = await createApiKey();
    await worker.putKey({ key: apiKey, tenant: "ada", name: "test" });

    const nodes: LiveNode[] = [];
    for (const [name, [first]] of Object.entries(keysOf)) {
      nodes.push(await startLiveNode({ name, key: first, artifact, folder, worker, undo }));
    }
    return {
      worker,
      nodes,
      load: steadyLoad({ url: worker.url, apiKey, events }),
      async listed() {
        const registry = (await worker.object("NODE_REGISTRY", "nodes")) as {
          list(): Promise<{ readonly url: string }[]>;
        };
        return (await registry.list()).map(({ url }) => url);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface LiveNodeOptions {
  readonly name: string;
  readonly key: KeyText;
  readonly artifact: string;
  readonly folder: string;
  readonly worker: RunningWorker;
  readonly undo: (() => Promise<unknown>)[];
}

async function startLiveNode(options: LiveNodeOptions): Promise<LiveNode> {
  const { name, key, artifact, folder, worker, undo } = options;
  const link = path.join(folder, `${name}-current`);
  const keysFile = path.join(folder, `${name}-keys`);
  const lines: LogLine[] = [];
  /** In one step, as a person would do it who knows that it is read at any time. */
  const replace = async (target: string, make: (draft: string) => Promise<void>): Promise<void> => {
    await make(`${target}.next`);
    await rename(`${target}.next`, target);
  };
  const pointTo = (to: string) => replace(link, (draft) => symlink(to, draft));
  const writeKeys: LiveNode["writeKeys"] = (keys) =>
    replace(keysFile, (draft) => writeFile(draft, formatSigningKeys(keys), { mode: 0o600 }));
  await pointTo(artifact);
  await writeKeys([key]);

  const toWorker: Cuttable = await startCuttable(worker.url);
  undo.push(() => toWorker.stop());
  // The way to the node is there before it, on a port that it keeps.
  const port = await freePort();
  const toNode: Cuttable = await startCuttable(`http://127.0.0.1:${port}`);
  undo.push(() => toNode.stop());
  const start = (): Promise<NodeProcess> =>
    startNode({
      modelDirs: [link],
      keys: [key],
      port,
      args: [
        ...["--threads", "1", "--keys-file", keysFile],
        ...["--announce", toWorker.url, "--announce-as", toNode.url],
      ],
      log: (line) => {
        if (line.startsWith("{")) lines.push(JSON.parse(line) as LogLine);
      },
    });
  let running = await start();
  undo.push(() => running.stop());

  return {
    name,
    url: toNode.url,
    logged: (event) => lines.filter((line) => line.event === event),
    async restart() {
      await running.stop();
      running = await start();
    },
    async changeTo(to) {
      await pointTo(to);
      const [door] = running.pids();
      if (door === undefined) throw new Error(`${name} does not run`);
      process.kill(door.pid, "SIGHUP");
    },
    writeKeys,
    mute: () => toWorker.cut(),
    cut() {
      toWorker.cut();
      toNode.cut();
    },
    heal() {
      toWorker.heal();
      toNode.heal();
    },
  };
}

/** One that was free a moment ago. */
async function freePort(): Promise<number> {
  const probe = await startCuttable("http://127.0.0.1:1");
  await probe.stop();
  return Number(new URL(probe.url).port);
}
