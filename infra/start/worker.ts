// The Worker in workerd, through Miniflare, as the local stack, the tests and the evaluation run it.
import type { Scope } from "@blip2-edge/shared/contracts/keys";
import { Miniflare } from "miniflare";
import { hashApiKey, keyIdOf } from "../../edge/src/auth/api-key.ts";
import type { WorkLeaseCalls, WorkLeases } from "../../edge/src/collapse/collapse.ts";
import { type Database, migrate } from "./migrate.ts";
import { readWorkerConfig } from "./worker-bundle.ts";
import { instanceNames, miniflareOptions, type WorkerOptions } from "./worker-options.ts";
import { withoutNewSignalHandlers, workerdChildren } from "./workerd-children.ts";

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
  readonly db: Database;
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

async function storedNames(miniflare: Miniflare): Promise<string[]> {
  const kv = await miniflare.getKVNamespace("RESULTS");
  const r2 = await miniflare.getR2Bucket("PIXELS");
  const [{ keys }, { objects }] = await Promise.all([kv.list(), r2.list()]);
  return [...keys.map(({ name }) => name), ...objects.map(({ key }) => key)];
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
