// What wrangler does to an account in a deployment, call by call as its sources do it, without its bundler: for tests that
// break a deployment off at every request. test/deploy runs wrangler itself.
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import type { Wrangler } from "../../infra/deploy/wrangler.ts";
import { standInAccount, standInToken, type CloudflareStandIn } from "./cloudflare-stand-in.ts";

interface Config {
  readonly name: string;
  readonly workers_dev: boolean;
  readonly d1_databases: readonly [{ readonly binding: string; readonly database_id: string }];
  readonly kv_namespaces: readonly { readonly binding: string; readonly id: string }[];
  readonly r2_buckets: readonly { readonly binding: string; readonly bucket_name: string }[];
  readonly durable_objects: {
    readonly bindings: readonly { readonly name: string; readonly class_name: string }[];
  };
  readonly queues: {
    readonly producers: readonly { readonly binding: string; readonly queue: string }[];
    readonly consumers: readonly { readonly queue: string }[];
  };
  readonly vectorize?: readonly { readonly binding: string; readonly index_name: string }[];
  readonly migrations: readonly { readonly tag: string; readonly new_sqlite_classes: string[] }[];
  readonly limits: unknown;
  readonly triggers: { readonly crons: readonly string[] };
  readonly vars: Readonly<Record<string, string>>;
}

const migrationsFolder = path.resolve(import.meta.dirname, "../../edge/migrations");

export function fakeWrangler(standIn: CloudflareStandIn): Wrangler {
  const call = async (method: string, at: string, body?: unknown): Promise<unknown> => {
    const response = await standIn.fetch(
      `http://stand-in/client/v4/accounts/${standInAccount}${at}`,
      {
        method,
        headers: { authorization: `Bearer ${standInToken}` },
        ...(body === undefined
          ? {}
          : { body: body instanceof FormData ? body : JSON.stringify(body) }),
      },
    );
    const { success, result, errors } = (await response.json()) as Record<string, unknown>;
    if (success === true) return result;
    throw new Error(`${method} ${at}: ${JSON.stringify(errors)}`);
  };
  const read = async (file: string) => JSON.parse(await readFile(file, "utf8")) as Config;

  return {
    async migrate(file) {
      const [{ database_id: id }] = (await read(file)).d1_databases;
      const query = (sql: string) => call("POST", `/d1/database/${id}/query`, { sql });
      await query(
        "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE)",
      );
      const [{ results }] = (await query("SELECT name FROM d1_migrations")) as [
        { results: { name: string }[] },
      ];
      const applied = new Set(results.map(({ name }) => name));
      for (const name of (await readdir(migrationsFolder)).toSorted()) {
        if (applied.has(name) || !name.endsWith(".sql")) continue;
        const sql = await readFile(path.join(migrationsFolder, name), "utf8");
        await query(`${sql}\nINSERT INTO d1_migrations (name) values ('${name}');`);
      }
    },

    async deploy(file, secretsFile) {
      const config = await read(file);
      const secrets =
        secretsFile === undefined
          ? {}
          : (JSON.parse(await readFile(secretsFile, "utf8")) as Record<string, string>);
      const isNew = standIn.workers.scripts.get(config.name)?.migrationTag === undefined;
      const form = new FormData();
      const metadata = {
        ...{ main_module: "index.js", keep_bindings: ["secret_text", "secret_key"] },
        ...{ compatibility_date: "2026-11-01", compatibility_flags: [], limits: config.limits },
        bindings: [
          ...Object.entries(config.vars).map(([name, text]) => ({
            name,
            type: "plain_text",
            text,
          })),
          ...Object.entries(secrets).map(([name, text]) => ({ name, type: "secret_text", text })),
          ...config.d1_databases.map((each) => ({
            ...{ name: each.binding, type: "d1", id: each.database_id },
          })),
          ...config.kv_namespaces.map((each) => ({
            ...{ name: each.binding, type: "kv_namespace", namespace_id: each.id },
          })),
          ...config.r2_buckets.map((each) => ({
            ...{ name: each.binding, type: "r2_bucket", bucket_name: each.bucket_name },
          })),
          ...config.queues.producers.map((each) => ({
            ...{ name: each.binding, type: "queue", queue_name: each.queue },
          })),
          ...(config.vectorize ?? []).map((each) => ({
            ...{ name: each.binding, type: "vectorize", index_name: each.index_name },
          })),
          ...config.durable_objects.bindings.map((each) => ({
            ...{ name: each.name, type: "durable_object_namespace", class_name: each.class_name },
          })),
        ],
        ...(isNew
          ? { migrations: { new_tag: config.migrations.at(-1)?.tag, steps: config.migrations } }
          : {}),
      };
      form.set("metadata", JSON.stringify(metadata));
      form.set("index.js", new File(["export default {}"], "index.js"));
      const script = `/workers/scripts/${config.name}`;
      if (isNew) {
        await call("PUT", script, form);
      } else {
        const { id } = (await call("POST", `${script}/versions`, form)) as { id: string };
        await call("POST", `${script}/deployments`, { versions: [{ version_id: id }] });
      }
      await call("POST", `${script}/subdomain`, { enabled: config.workers_dev });
      const crons = config.triggers.crons.map((cron) => ({ cron }));
      await call("PUT", `${script}/schedules`, crons);
      for (const { queue } of config.queues.consumers) {
        const found = standIn.storage.queues.get(queue);
        const at = `/queues/${found?.queue_id}/consumers`;
        const mine = found?.consumers.find(({ script: of }) => of === config.name);
        await (mine === undefined
          ? call("POST", at, { script_name: config.name })
          : call("PUT", `${at}/${mine.consumer_id}`, { script_name: config.name }));
      }
    },

    async rollback(worker, version) {
      const body = { versions: [{ version_id: version }] };
      await call("POST", `/workers/scripts/${worker}/deployments`, body);
    },
  };
}
