// What of the Worker a caller may choose, and what Miniflare is told of it: edge/wrangler.jsonc says what is bound and flagged,
// so that production and here are alike. Two walls against SSRF stand here as well: the Worker's `fetch` reaches public
// addresses only, and private ones are reached through bindings that are each limited to the addresses they are for.
import { Log, LogLevel, type MiniflareOptions } from "miniflare";
import type { VectorIndex } from "../../edge/src/search/vectorize.ts";
import { formatSigningKeys } from "./signing-keys.ts";
import { vectorizeService, vectorizeWorkerName } from "./vectorize-service.ts";
import { bundleWorker, readWorkerConfig } from "./worker-bundle.ts";
import { blocksOf, internetWorker, nodeHosts } from "./worker-networks.ts";

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
  /** Hosts of nodes that join, which no variable names. */
  readonly joinHosts?: readonly string[];
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

export const instanceNames = (name: string, instances = 1): string[] =>
  Array.from({ length: instances }, (_, at) => (at === 0 ? name : `${name}-${at + 1}`));

export async function miniflareOptions(options: WorkerOptions): Promise<MiniflareOptions> {
  const config = await readWorkerConfig();
  const bundle = await bundleWorker(options.entry);
  const allowFetch = options.allowFetch ?? [];
  const { internet, log } = options;
  const vars: Record<string, string> = {
    ...config.vars,
    NODE_URL: options.nodeUrl,
    ...(options.nodeKeys.length === 0 ? {} : { NODE_KEYS: formatSigningKeys(options.nodeKeys) }),
    PARTITION_SECRET: `local:${options.nodeKeys.map(({ secret }) => secret).join(":")}`.padEnd(
      38,
      "-",
    ),
    ALLOW_FETCH: allowFetch.join(","),
    // BLIP2_API_KEY may be any text on a development machine.
    ACCEPT_FOREIGN_KEYS: "true",
    ...options.vars,
  };
  const tlsOptions = { trustBrowserCas: true };
  const env: Record<string, unknown> = {
    NODE_NET: {
      type: "network",
      allow: await blocksOf([...nodeHosts(vars), ...(options.joinHosts ?? [])]),
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
