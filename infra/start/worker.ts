// The Worker in workerd, through Miniflare, as the local stack, the tests and the evaluation run it.
// It reads edge/wrangler.jsonc, so that what is bound and flagged in production is bound here too.
// Two walls against SSRF stand here as well: the Worker's `fetch` reaches public addresses only, and
// private ones are reached through two bindings that are each limited to the addresses they are for.
import { lookup } from "node:dns/promises";
import { readdirSync, readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { isIP } from "node:net";
import path from "node:path";
import type { Scope } from "@blip2-edge/shared/contracts/keys";
import { Miniflare, Log, LogLevel, type MiniflareOptions } from "miniflare";
import type { WorkLeaseCalls, WorkLeases } from "../../edge/src/collapse/collapse.ts";
import { hashApiKey, keyIdOf } from "../../edge/src/auth/api-key.ts";
import type { VectorIndex } from "../../edge/src/search/vectorize.ts";
import { formatSigningKeys } from "./signing-keys.ts";
import { vectorizeService, vectorizeWorkerName } from "./vectorize-service.ts";
import { bundleWorker, readWorkerConfig } from "./worker-bundle.ts";

const root = path.resolve(import.meta.dirname, "../..");

/** Answers for the whole public internet, in tests that must not leave the machine. */
export type FakeInternet = (request: Request) => Promise<Response> | Response;

export interface WorkerOptions {
  /** 0 takes a free port. */
  readonly port: number;
  /** Folder in which keys, results and pixels persist; without it they live in memory. */
  readonly stateDir?: string;
  /** Of the node; of several, separated by commas. */
  readonly nodeUrl: string;
  readonly nodeKeys: readonly { readonly id: string; readonly secret: string }[];
  /** Private origins, `host:port`, that the Worker may fetch pictures from. */
  readonly allowFetch?: readonly string[];
  /** More variables of the Worker (edge/src/config.ts), e.g. shorter timeouts in tests. */
  readonly vars?: Readonly<Record<string, string>>;
  readonly internet?: FakeInternet;
  /** Binds the local simulation of Cloudflare Images (sharp) as IMAGES; default false. */
  readonly images?: boolean;
  /** Answers in the place of a Vectorize index, bound as VECTORIZE: there is no local simulation of one. */
  readonly vectorize?: VectorIndex;
  /** Isolates of the Worker that share every binding, as in production; default 1. */
  readonly instances?: number;
  /** Another entry than the product's, below edge/, which exports at least the same; for the lab. */
  readonly entry?: string;
  /** How often the Worker's clock strikes (`scheduled`); default: only when `tick` is called. */
  readonly tickEveryMs?: number;
  /** Gets each log line of the Worker; default: nothing is shown. */
  readonly log?: (line: string) => void;
}

export interface NewKey {
  readonly key: string;
  readonly tenant: string;
  readonly name: string;
  readonly expiresAt?: number;
  /** `infer` when left out. */
  readonly scopes?: readonly Scope[];
}

/** What tests look up in KV, and change there. */
export interface KvForTests {
  get(name: string): Promise<string | null>;
  put(name: string, value: string): Promise<void>;
  delete(name: string): Promise<void>;
  list(options?: { readonly prefix?: string }): Promise<{
    readonly keys: readonly { readonly name: string; readonly expiration?: number }[];
  }>;
}

export interface RunningWorker {
  readonly url: string;
  /** Of every instance; the first is `url`. */
  readonly urls: readonly string[];
  /** The tables of the Worker, for tests and for `putKey`. */
  readonly db: Awaited<ReturnType<Miniflare["getD1Database"]>>;
  /** Names of the objects in an R2 bucket, by the name of its binding. */
  files(bucket: string, prefix: string): Promise<string[]>;
  /** Sends a message to a queue, by the name of its binding. */
  enqueue(queue: string, message: unknown): Promise<void>;
  /** Makes this key valid for this tenant; a second call with the same key changes its scopes alone. */
  putKey(newKey: NewKey): Promise<void>;
  /** The object of a piece of work, for tests. */
  workLease(key: string): Promise<WorkLeaseCalls>;
  /** A KV namespace, by the name of its binding, for tests. */
  kv(binding: string): Promise<KvForTests>;
  /** A Durable Object, by the name of its binding and its own. */
  object(binding: string, name: string): Promise<unknown>;
  /** Names of everything that lies in KV and R2, for tests. */
  stored(): Promise<string[]>;
  /** Lets the Worker's clock strike, as the crons of its configuration would; resolves when it is done. */
  tick(): Promise<void>;
  pids(): { pid: number; name: string }[];
  stop(): Promise<void>;
}

async function addressesOf(name: string): Promise<string[]> {
  try {
    return (await lookup(name, { all: true })).map(({ address }) => address);
  } catch (error) {
    throw new Error(`The host ${name} does not resolve to an address; check its spelling.`, {
      cause: error,
    });
  }
}

/** The network blocks of a host, for workerd's address filter. */
async function blocksOf(hosts: readonly string[]): Promise<string[]> {
  const blocks = new Set<string>();
  for (const host of hosts) {
    const bare = host.replace(/^\[|\]$/g, "");
    for (const address of isIP(bare) > 0 ? [bare] : await addressesOf(bare)) {
      blocks.add(isIP(address) === 6 ? `${address}/128` : `${address}/32`);
    }
  }
  return [...blocks];
}

/** The way out for `fetch`: public addresses only, by the address a name resolves to when it connects. */
export const internetWorker = {
  config: {
    name: "internet",
    compatibilityDate: "2026-11-01",
    manifest: {
      mainModule: "index.js",
      modulesRoot: root,
      modules: {
        "index.js": {
          type: "esm" as const,
          contents: "export default { fetch: (request, env) => env.NET.fetch(request) };",
        },
      },
    },
    env: {
      NET: {
        type: "network" as const,
        allow: ["public"],
        tlsOptions: { trustBrowserCas: true },
      },
    },
  },
};

/** Where nodes may be, as the Worker's variables say it. */
const nodeHosts = ({ NODE_URL = "", ANNOUNCE_ORIGINS = "" }: Record<string, string>): string[] =>
  [...NODE_URL.split(","), ...ANNOUNCE_ORIGINS.split(",").map((entry) => entry.split("=")[1] ?? "")]
    .filter((url) => url !== "")
    .map((url) => new URL(url.replace(/:\*$/, "")).hostname);

const instanceNames = (name: string, instances = 1): string[] =>
  Array.from({ length: instances }, (_, at) => (at === 0 ? name : `${name}-${at + 1}`));

async function miniflareOptions(options: WorkerOptions): Promise<MiniflareOptions> {
  const config = await readWorkerConfig();
  const bundle = await bundleWorker(options.entry);
  const allowFetch = options.allowFetch ?? [];
  const { internet, log } = options;
  const vars: Record<string, string> = {
    ...config.vars,
    NODE_URL: options.nodeUrl,
    NODE_KEYS: formatSigningKeys(options.nodeKeys),
    PARTITION_SECRET: `local:${options.nodeKeys.map(({ secret }) => secret).join(":")}`,
    ALLOW_FETCH: allowFetch.join(","),
    // BLIP2_API_KEY may be any text on a development machine.
    ACCEPT_FOREIGN_KEYS: "true",
    ...options.vars,
  };
  const tlsOptions = { trustBrowserCas: true };
  const env: Record<string, unknown> = {
    NODE_NET: {
      type: "network",
      allow: await blocksOf(nodeHosts(vars)),
      tlsOptions,
    },
  };
  // Of pictures, and of CMSs.
  const cmsOrigins = (vars["CMS_PRIVATE_ORIGINS"] ?? "").split(",").filter((one) => one !== "");
  const privateOrigins = [...allowFetch, ...cmsOrigins];
  if (privateOrigins.length > 0) {
    const hosts = privateOrigins.map((origin) => origin.slice(0, origin.lastIndexOf(":")));
    env["PRIVATE_NET"] = { type: "network", allow: await blocksOf(hosts), tlsOptions };
  }
  const collector = vars["OTEL_EXPORTER_OTLP_ENDPOINT"];
  if (collector !== undefined) {
    env["TRACE_NET"] = {
      ...{ type: "network", tlsOptions },
      allow: await blocksOf([new URL(collector).hostname]),
    };
  }
  for (const [name, value] of Object.entries(vars)) env[name] = { type: "text", value };
  for (const { binding } of config.d1_databases) env[binding] = { type: "d1", id: binding };
  for (const { binding } of config.kv_namespaces) env[binding] = { type: "kv", id: binding };
  if (options.images === true) env["IMAGES"] = { type: "images" };
  if (options.vectorize !== undefined) {
    env["VECTORIZE"] = { type: "worker", worker: vectorizeWorkerName };
  }
  for (const { binding } of config.r2_buckets) env[binding] = { type: "r2", name: binding };
  const classes = config.durable_objects.bindings;
  for (const { name, class_name: exportName } of classes) {
    env[name] = { type: "durable-object", worker: config.name, exportName };
  }
  for (const { binding, queue } of config.queues.producers) {
    env[binding] = { type: "queue", name: queue };
  }
  const consumers = config.queues.consumers.map((consumer) => ({
    type: "queue",
    name: consumer.queue,
    maxBatchSize: consumer.max_batch_size,
    maxBatchTimeout: 0,
    maxRetries: consumer.max_retries,
  }));
  const workerNamed = (name: string, port: number): unknown => ({
    config: {
      name,
      compatibilityDate: config.compatibility_date,
      compatibilityFlags: config.compatibility_flags,
      manifest: bundle,
      env,
      // A queue has one consumer here.
      triggers: name === config.name ? consumers : [],
      // The objects live in the first instance; the others reach them there.
      exports:
        name === config.name
          ? Object.fromEntries(
              classes.map((each) => [
                each.class_name,
                { type: "durable-object", storage: "sqlite" },
              ]),
            )
          : {},
    },
    dev: {
      // The world talks to the Worker itself, as in production; otherwise Miniflare's own entry
      // Worker stands in between, which costs more than a cache hit.
      unsafeDirectSockets: [{ host: "127.0.0.1", port }],
      outboundService:
        internet === undefined
          ? { type: "worker", worker: "internet" }
          : { type: "fetcher", handler: internet },
    },
  });

  return {
    host: "127.0.0.1",
    port: 0,
    cf: false,
    telemetry: { enabled: false },
    log: new Log(LogLevel.NONE),
    logRequests: false,
    handleStructuredLogs: ({ message }: { message: string }) => log?.(message.trimEnd()),
    ...(options.stateDir === undefined ? {} : { resourcePersistencePath: options.stateDir }),
    workers: [
      ...instanceNames(config.name, options.instances).map((name, at) =>
        workerNamed(name, at === 0 ? options.port : 0),
      ),
      internetWorker,
      ...(options.vectorize === undefined ? [] : [vectorizeService(options.vectorize)]),
    ],
    // The binding records are built from the configuration file; Miniflare checks them itself.
  } as unknown as MiniflareOptions;
}

/** Applies the migrations that the database has not seen yet. */
async function migrate(db: RunningWorker["db"]): Promise<void> {
  const folder = path.join(root, "edge/migrations");
  await db
    .prepare("CREATE TABLE IF NOT EXISTS d1_migrations (name TEXT PRIMARY KEY, applied_at TEXT)")
    .run();
  const { results } = await db.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const applied = new Set(results.map(({ name }) => name));
  for (const name of (await readdir(folder)).filter((file) => file.endsWith(".sql")).toSorted()) {
    if (applied.has(name)) continue;
    const sql = await readFile(path.join(folder, name), "utf8");
    const statements = sql
      .replaceAll(/^\s*--.*$/gm, "")
      .split(";")
      .map((statement) => statement.trim())
      .filter((statement) => statement !== "");
    await db.batch([
      ...statements.map((statement) => db.prepare(statement)),
      db.prepare("INSERT INTO d1_migrations VALUES (?, datetime('now'))").bind(name),
    ]);
  }
}

async function storedNames(miniflare: Miniflare): Promise<string[]> {
  const kv = await miniflare.getKVNamespace("RESULTS");
  const r2 = await miniflare.getR2Bucket("PIXELS");
  const [{ keys }, { objects }] = await Promise.all([kv.list(), r2.list()]);
  return [...keys.map(({ name }) => name), ...objects.map(({ key }) => key)];
}

/** Child processes of this one that are workerd; Miniflare does not tell their ids. Linux only. */
function workerdChildren(): { pid: number; name: string }[] {
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
function withoutNewSignalHandlers<T>(make: () => T): T {
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

/** Bundles the Worker (when its sources changed), starts it and brings its database up to date. */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  const before = new Set(workerdChildren().map(({ pid }) => pid));
  const settings = await miniflareOptions(options);
  const miniflare = withoutNewSignalHandlers(() => new Miniflare(settings));
  try {
    await miniflare.ready;
    const { name: workerName } = await readWorkerConfig();
    const urls = await Promise.all(
      instanceNames(workerName, options.instances).map(async (name) => {
        const { origin } = await miniflare.unsafeGetDirectURL(name);
        return origin;
      }),
    );
    const [url = ""] = urls;
    const db = await miniflare.getD1Database("DB");
    await migrate(db);
    const { triggers } = await readWorkerConfig();
    const tick = async (): Promise<void> => {
      const worker = await miniflare.getWorker(workerName);
      for (const cron of triggers.crons) await worker.scheduled({ cron });
    };
    const { log, tickEveryMs } = options;
    const clock =
      tickEveryMs === undefined
        ? undefined
        : setInterval(() => {
            tick().catch((error: unknown) => log?.(`the Worker's clock: ${String(error)}`));
          }, tickEveryMs);
    return {
      url,
      urls,
      db,
      async putKey({ key, tenant, name, expiresAt, scopes = ["infer"] }) {
        if (!/^\S{1,256}$/.test(key)) {
          throw new Error("An API key is 1 to 256 characters without white space.");
        }
        const { id, prefix } = await keyIdOf(key);
        await db
          .prepare(
            "INSERT INTO api_keys (id, prefix, secret_hash, tenant, name, created_at, expires_at, scopes) " +
              "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET scopes = excluded.scopes",
          )
          .bind(
            ...[id, prefix, await hashApiKey(key), tenant, name, Date.now(), expiresAt ?? null],
            scopes.join(" "),
          )
          .run();
      },
      async workLease(key) {
        const leases: unknown = await miniflare.getDurableObjectNamespace("WORK_LEASES");
        return (leases as WorkLeases).getByName(key);
      },
      kv: (binding) => miniflare.getKVNamespace(binding),
      async object(binding, name) {
        const objects: unknown = await miniflare.getDurableObjectNamespace(binding);
        return (objects as { getByName(of: string): unknown }).getByName(name);
      },
      stored: () => storedNames(miniflare),
      tick,
      async enqueue(queue, message) {
        await (await miniflare.getQueueProducer(queue)).send(message, { contentType: "json" });
      },
      async files(bucket, prefix) {
        const { objects } = await (await miniflare.getR2Bucket(bucket)).list({ prefix });
        return objects.map(({ key }) => key);
      },
      pids: () => workerdChildren().filter(({ pid }) => !before.has(pid)),
      async stop() {
        clearInterval(clock);
        await miniflare.dispose();
      },
    };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}
