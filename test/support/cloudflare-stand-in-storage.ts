// What the stand-in for Cloudflare's API keeps of D1 (a SQLite for each database), KV, R2, Queues and Vectorize.
import { randomUUID } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { Page, Refusal, type ApiRoute } from "./cloudflare-stand-in-api.ts";

export interface QueueState {
  readonly queue_id: string;
  readonly queue_name: string;
  consumers: {
    readonly consumer_id: string;
    readonly type: "worker";
    script: string;
    settings: unknown;
  }[];
}

export function storageState(limits: Partial<Record<"d1" | "kv" | "queues", number>>) {
  return {
    limits,
    databases: new Map<string, { readonly uuid: string; readonly sqlite: DatabaseSync }>(),
    namespaces: new Map<string, string>(),
    buckets: new Set<string>(),
    queues: new Map<string, QueueState>(),
    indexes: new Map<string, { readonly dimensions: number; readonly metric: string }>(),
  };
}
export type StorageState = ReturnType<typeof storageState>;

const hex = () => randomUUID().replaceAll("-", "");

/** Each statement's rows; all of them or none, as D1 applies what comes in one query. */
function run(sqlite: DatabaseSync, sql: string): unknown[] {
  const statements = sql
    .replaceAll(/^\s*--.*$/gm, "")
    .split(";")
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
  sqlite.exec("BEGIN");
  try {
    const results = statements.map((statement) => ({
      results: sqlite
        .prepare(statement)
        .all()
        .map((row) => ({ ...row })),
      success: true,
      meta: { duration: 0, rows_read: 0, rows_written: 0 },
    }));
    sqlite.exec("COMMIT");
    return results;
  } catch (error) {
    sqlite.exec("ROLLBACK");
    throw new Refusal(400, 7500, `${String(error)}: SQLITE_ERROR`);
  }
}

export function storageRoutes(state: StorageState): ApiRoute[] {
  const { databases, namespaces, buckets, queues, indexes, limits } = state;
  const databaseOf = (uuid: string) => {
    const found = [...databases].find(([, each]) => each.uuid === uuid);
    if (found === undefined)
      throw new Refusal(404, 7404, `The database ${uuid} could not be found`);
    return found;
  };
  const queueOf = (id: string) => {
    const found = [...queues.values()].find((queue) => queue.queue_id === id);
    if (found === undefined) throw new Refusal(404, 11_000, "The specified queue does not exist.");
    return found;
  };
  const below = (count: number, limit: number | undefined, code: number, what: string) => {
    if (count >= (limit ?? Number.POSITIVE_INFINITY)) {
      throw new Refusal(400, code, `You have reached the maximum number of ${what}.`);
    }
  };
  interface Body {
    readonly name: string;
    readonly title: string;
    readonly queue_name: string;
    readonly sql: string;
    readonly script_name: string;
    readonly settings: unknown;
    readonly config: { readonly dimensions: number; readonly metric: string };
  }
  return [
    {
      ...{ area: "d1", method: "GET", path: /^\/d1\/database$/ },
      answer: () => new Page([...databases].map(([name, { uuid }]) => ({ uuid, name }))),
    },
    {
      ...{ area: "d1", method: "POST", path: /^\/d1\/database$/ },
      async answer(asked) {
        const { name } = (await asked.json()) as Body;
        if (databases.has(name)) {
          throw new Refusal(400, 7502, `Database with name ${name} already exists`);
        }
        below(databases.size, limits.d1, 7406, "D1 databases");
        const made = { uuid: randomUUID(), sqlite: new DatabaseSync(":memory:") };
        databases.set(name, made);
        return {
          uuid: made.uuid,
          name,
          version: "production",
          created_at: new Date().toISOString(),
        };
      },
    },
    {
      ...{ area: "d1", method: "GET", path: /^\/d1\/database\/([^/]+)$/ },
      answer: (_asked, uuid) => ({ uuid, name: databaseOf(uuid ?? "")[0] }),
    },
    {
      ...{ area: "d1", method: "POST", path: /^\/d1\/database\/([^/]+)\/query$/ },
      answer: async (asked, uuid) =>
        run(databaseOf(uuid ?? "")[1].sqlite, ((await asked.json()) as Body).sql),
    },
    {
      ...{ area: "kv", method: "GET", path: /^\/storage\/kv\/namespaces$/ },
      answer: () => new Page([...namespaces].map(([title, id]) => ({ id, title }))),
    },
    {
      ...{ area: "kv", method: "POST", path: /^\/storage\/kv\/namespaces$/ },
      async answer(asked) {
        const { title } = (await asked.json()) as Body;
        if (namespaces.has(title)) {
          throw new Refusal(
            400,
            10_014,
            "a namespace with this account ID and title already exists",
          );
        }
        below(namespaces.size, limits.kv, 10_026, "KV namespaces");
        const id = hex();
        namespaces.set(title, id);
        return { id, title, supports_url_encoding: true };
      },
    },
    {
      ...{ area: "r2", method: "GET", path: /^\/r2\/buckets$/ },
      answer: () =>
        new Page(
          [...buckets].map((name) => ({ name })),
          "buckets",
        ),
    },
    {
      ...{ area: "r2", method: "GET", path: /^\/r2\/buckets\/([^/]+)$/ },
      answer(_asked, name = "") {
        if (buckets.has(name)) return { name };
        throw new Refusal(404, 10_006, "The specified bucket does not exist.");
      },
    },
    {
      ...{ area: "r2", method: "POST", path: /^\/r2\/buckets$/ },
      async answer(asked) {
        const { name } = (await asked.json()) as Body;
        if (buckets.has(name)) {
          throw new Refusal(
            409,
            10_004,
            "The bucket you tried to create already exists, and you own it.",
          );
        }
        buckets.add(name);
        return { name, location: "WEUR", storage_class: "Standard" };
      },
    },
    {
      ...{ area: "queues", method: "GET", path: /^\/queues$/ },
      answer: (asked) => {
        const named = asked.query.getAll("name");
        const all = [...queues.values()];
        return new Page(
          named.length === 0 ? all : all.filter((each) => named.includes(each.queue_name)),
        );
      },
    },
    {
      ...{ area: "queues", method: "POST", path: /^\/queues$/ },
      async answer(asked) {
        const { queue_name: name } = (await asked.json()) as Body;
        if (queues.has(name)) {
          throw new Refusal(409, 11_009, `Queue name '${name}' is already taken.`);
        }
        below(queues.size, limits.queues, 11_011, "queues");
        const made: QueueState = { queue_id: hex(), queue_name: name, consumers: [] };
        queues.set(name, made);
        return made;
      },
    },
    {
      ...{ area: "queues", method: "POST", path: /^\/queues\/([^/]+)\/consumers$/ },
      async answer(asked, id) {
        const { script_name: script, settings } = (await asked.json()) as Body;
        const { consumers } = queueOf(id ?? "");
        if (consumers.length > 0) {
          throw new Refusal(409, 11_004, "The queue already has a consumer.");
        }
        const made = { consumer_id: hex(), type: "worker" as const, script, settings };
        consumers.push(made);
        return made;
      },
    },
    {
      ...{ area: "queues", method: "PUT", path: /^\/queues\/([^/]+)\/consumers\/([^/]+)$/ },
      async answer(asked, id, consumer) {
        const { script_name: script, settings } = (await asked.json()) as Body;
        const found = queueOf(id ?? "").consumers.find((each) => each.consumer_id === consumer);
        if (found === undefined) throw new Refusal(404, 11_001, "No such consumer.");
        return Object.assign(found, { script, settings });
      },
    },
    {
      ...{ area: "vectorize", method: "GET", path: /^\/vectorize\/v2\/indexes$/ },
      answer: () => [...indexes].map(([name, config]) => ({ name, config })),
    },
    {
      ...{ area: "vectorize", method: "POST", path: /^\/vectorize\/v2\/indexes$/ },
      async answer(asked) {
        const { name, config } = (await asked.json()) as Body;
        if (indexes.has(name)) throw new Refusal(409, 3002, "vectorize.index.duplicate_name");
        indexes.set(name, config);
        return { name, config };
      },
    },
  ];
}
