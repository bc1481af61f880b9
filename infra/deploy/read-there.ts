// Reads of an account what a deployment compares with what it wants. Nothing here changes anything.
import { readAllowedOrigin } from "../../edge/src/nodes/announcers.ts";
import type { CloudflareAccount } from "./cloudflare.ts";
import type { DatabaseThere, There, WorkerThere } from "./there.ts";
import type { Wanted } from "./wanted.ts";

/** Of a database that may have seen none of the migrations, or half of them. */
export async function readDatabase(account: CloudflareAccount, id: string): Promise<DatabaseThere> {
  const tables = await account.rows(
    id,
    "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' " +
      "AND name NOT LIKE '_cf_%'",
  );
  const sqlOf = (name: string) => tables.find((table) => table["name"] === name)?.["sql"];
  const applied =
    sqlOf("d1_migrations") === undefined
      ? []
      : await account.rows(id, "SELECT name FROM d1_migrations");
  const any = async (where: string) =>
    (await account.rows(id, `SELECT 1 AS found FROM api_keys ${where} LIMIT 1`)).length > 0;
  const keys = sqlOf("api_keys");
  return {
    id,
    applied: applied.map(({ name }) => String(name)),
    tables: tables.map(({ name }) => String(name)).filter((name) => name !== "d1_migrations"),
    hasKeys: keys !== undefined && (await any("")),
    hasAdminKey:
      String(keys).includes("scopes") &&
      (await any("WHERE revoked_at IS NULL AND ' ' || scopes || ' ' LIKE '% admin %'")),
  };
}

/** Of the version that has the traffic: a rollback changes it. */
export async function readWorker(
  account: CloudflareAccount,
  worker: string,
): Promise<WorkerThere | undefined> {
  const [latest] = (await account.deployments(worker)) ?? [];
  if (latest === undefined) return undefined;
  const bindings = await account.bindings(worker, latest.version);
  const text = (name: string) =>
    bindings.find((binding) => binding.name === name && binding.type === "plain_text")?.text;
  const announced = (text("ANNOUNCE_ORIGINS") ?? "").split(/[\s,]+/).filter((each) => each !== "");
  return {
    ...latest,
    deployment: text("DEPLOYMENT"),
    secrets: bindings.filter(({ type }) => type === "secret_text").map(({ name }) => name),
    nodeIds: announced.flatMap((each) => readAllowedOrigin(each)?.keyId ?? []),
    crons: await account.crons(worker),
    onWorkersDev: await account.onWorkersDev(worker),
  };
}

export async function readThere(account: CloudflareAccount, wanted: Wanted): Promise<There> {
  const { names, index, domain } = wanted;
  const databaseId = await account.databaseId(names.database);
  return {
    subdomain: await account.subdomain(),
    database: databaseId === undefined ? undefined : await readDatabase(account, databaseId),
    namespaces: await account.namespaces(),
    buckets: await account.buckets(),
    queues: await account.queues(),
    indexes: index === undefined ? [] : await account.indexes(),
    worker: await readWorker(account, names.worker),
    domainOf: domain === undefined ? undefined : await account.workerAt(domain),
  };
}
