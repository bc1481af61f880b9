// The whole Worker in this process, over bindings in memory that write down every call: what a caller could at
// most tell by time. A test that imports it mocks edge/src/images/codecs.ts by image-codecs.ts, since Node does
// not import WebAssembly as workerd does.
import { createApiKey, hashApiKey, keyIdOf } from "../../edge/src/auth/api-key.ts";
import { createLedger, type Ledger } from "../../edge/src/usage/ledger.ts";
import type { KeyMeterCalls } from "../../edge/src/usage/meter.ts";
import type { WorkLeaseCalls } from "../../edge/src/collapse/collapse.ts";
import { workDesk, type Desk } from "../../edge/src/collapse/desk.ts";
import { formatSigningKeys } from "../../infra/start/signing-keys.ts";
import type { FakeNode } from "./fake-node.ts";
import { memorySql, memoryTables } from "./sqlite.ts";

/** By name alone: their types are of workerd, and this file's are of Node. */
const [appModule, isolateModule]: string[] = ["../../edge/src/app.ts", "../../edge/src/isolate.ts"];
type Write = (line: string) => void;
interface App {
  fetch(request: Request, env: unknown, context: object): Response | Promise<Response>;
}

export interface WorkerInProcess {
  keyOf(tenant: string): Promise<string>;
  /** Answers, once everything is done that may outlast the answer. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** What was called since it was last asked: binding and method, without whose it is. */
  calls(): string[];
  /** Empties R2, as a lifecycle rule does. */
  loseObjects(): void;
}

export interface WorkerInProcessOptions {
  readonly node: Pick<FakeNode, "url" | "keys">;
  /** Answers for the node instead. */
  readonly answerNode?: (url: string, init: RequestInit) => Response | Promise<Response>;
  /** The one private origin, `host:port`, that pictures may be fetched from, and what answers there. */
  readonly origin?: { readonly host: string; readonly answer: (url: URL) => Response };
  readonly vars?: Readonly<Record<string, string>>;
}

interface Kept {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly customMetadata?: Record<string, string>;
}

export async function workerInProcess(options: WorkerInProcessOptions): Promise<WorkerInProcess> {
  const { node, origin, vars, answerNode = (url, init) => fetch(url, init) } = options;
  let log: string[] = [];
  const noted = <Args extends readonly unknown[], Result>(
    name: string,
    work: (...args: Args) => Result,
  ) => {
    return (...args: Args): Promise<Awaited<Result>> => {
      log.push(name);
      return Promise.resolve(work(...args));
    };
  };

  const kv = new Map<string, string>();
  const results = {
    get: noted("kv get", (key: string) => kv.get(key) ?? null),
    put: noted("kv put", (key: string, value: string) => void kv.set(key, value)),
    delete: noted("kv delete", (key: string) => void kv.delete(key)),
  };
  const objects = new Map<string, Kept>();
  const objectOf = (key: string) => {
    const kept = objects.get(key);
    if (kept === undefined) return null;
    return { customMetadata: kept.customMetadata, arrayBuffer: async () => kept.bytes.buffer };
  };
  const pixels = {
    put: noted("r2 put", (key: string, value: Uint8Array, more?: Partial<Kept>) => {
      objects.set(key, { ...more, bytes: new Uint8Array(value) });
    }),
    get: noted("r2 get", objectOf),
    head: noted("r2 head", objectOf),
  };
  const cached = new Map<string, string>();
  const cache = {
    match: noted("cache match", (url: string) => {
      const text = cached.get(url);
      return text === undefined ? undefined : new Response(text);
    }),
    put: noted("cache put", async (url: string, response: Response) => {
      cached.set(url, await response.text());
    }),
    delete: noted("cache delete", (url: string) => cached.delete(url)),
  };
  Object.assign(globalThis, { caches: { open: () => Promise.resolve(cache) } });

  const ledgers = new Map<string, Ledger>();
  const meterOf = (keyId: string): KeyMeterCalls => {
    const ledger = ledgers.get(keyId) ?? createLedger(memorySql());
    ledgers.set(keyId, ledger);
    return {
      reserve: noted("meter reserve", (asked) => ledger.reserve(asked, Date.now())),
      settle: noted("meter settle", (lease) => ledger.settle(lease, Date.now())),
      refund: noted("meter refund", (lease) => ledger.refund(lease, Date.now())),
      days: noted("meter days", (from, to) => ledger.days(from, to, Date.now())),
    };
  };
  const desks = new Map<string, Desk>();
  const leaseOf = (key: string): WorkLeaseCalls => {
    const desk = desks.get(key) ?? workDesk();
    desks.set(key, desk);
    return {
      join: noted("lease join", desk.join),
      wait: noted("lease wait", desk.wait),
      renew: noted("lease renew", desk.renew),
      finish: noted("lease finish", desk.finish),
      fail: noted("lease fail", desk.fail),
    };
  };

  const tables = memoryTables();
  const toNode = async (url: string, init: RequestInit): Promise<Response> => {
    const response = await answerNode(url, init);
    const what = String(new Headers(init.headers).get("content-type")).split(";")[0];
    log.push(`node ${new URL(url).pathname} ${what} ${response.status}`);
    return response;
  };
  const env = {
    DB: { ...tables, prepare: (sql: string) => (log.push("d1"), tables.prepare(sql)) },
    ...{ RESULTS: results, PIXELS: pixels, JOBS: pixels, JOB_QUEUE: { send: () => undefined } },
    KEY_METER: { getByName: meterOf },
    WORK_LEASES: { getByName: leaseOf },
    NODE_REGISTRY: {
      getByName: () => ({ hear: () => Promise.resolve("heard"), list: () => Promise.resolve([]) }),
    },
    NODE_NET: { fetch: toNode },
    PRIVATE_NET: {
      fetch: noted("fetch", (url: string) => origin?.answer(new URL(url)) ?? Response.error()),
    },
    ...{ NODE_URL: node.url, NODE_KEYS: formatSigningKeys(node.keys) },
    ...{ PARTITION_SECRET: "a-secret-of-the-tests-that-is-long-enough" },
    ...(origin === undefined ? {} : { ALLOW_FETCH: origin.host }),
    ...vars,
  };
  const silent = (): void => {};
  const { isolate } = (await import(isolateModule ?? "")) as {
    readonly isolate: (env: unknown, write: Write) => unknown;
  };
  const { createApp } = (await import(appModule ?? "")) as {
    readonly createApp: (isolate: unknown, write: Write) => App;
  };
  const app = createApp(isolate(env, silent), silent);

  return {
    async keyOf(tenant) {
      const { key } = await createApiKey();
      const { id, prefix } = await keyIdOf(key);
      await tables
        .prepare(
          "INSERT INTO api_keys (id, prefix, secret_hash, tenant, name, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(id, prefix, await hashApiKey(key), tenant, "test", Date.now())
        .run();
      return key;
    },
    async fetch(path, init) {
      const later: Promise<unknown>[] = [];
      const waitUntil = (work: Promise<unknown>): void => void later.push(work);
      const context = { waitUntil, passThroughOnException: silent, props: {} };
      const request = new Request(`http://worker.example${path}`, init);
      const response = await app.fetch(request, env, context);
      // What outlasts the answer may leave more to do.
      for (let done = 0; done < later.length; done = later.length) await Promise.all(later);
      return response;
    },
    loseObjects: () => objects.clear(),
    calls() {
      const since = log;
      log = [];
      return since;
    },
  };
}
