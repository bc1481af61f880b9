// What of Cloudflare's API a deployment uses, and in which shapes: the one file that knows its paths. Written from
// Cloudflare's published descriptions (its OpenAPI, as the official SDKs are generated from it) and wrangler's sources;
// docs/deploy.md says which calls were never run against the real one.
import { z } from "zod";
import { ApiError } from "./cloudflare-answer.ts";
import { cloudflareApi, type ApiOptions } from "./cloudflare-api.ts";
import { DeployError } from "./deploy-error.ts";
import type { IndexThere, QueueThere } from "./there.ts";

const databaseSchema = z.object({ uuid: z.string(), name: z.string() });
const namespaceSchema = z.object({ id: z.string(), title: z.string() });
const bucketSchema = z.object({ name: z.string() });
const queueSchema = z.object({
  queue_name: z.string(),
  consumers: z
    .array(z.object({ script: z.string().nullish(), service: z.string().nullish() }))
    .default([]),
});
const indexSchema = z.object({
  name: z.string(),
  config: z.object({ dimensions: z.number(), metric: z.string() }),
});
const bindingSchema = z.object({
  type: z.string(),
  name: z.string(),
  text: z.string().optional(),
});
const deploymentSchema = z.object({
  created_on: z.string(),
  versions: z.array(z.object({ version_id: z.string(), percentage: z.number() })),
});
const rowsSchema = z.array(z.object({ results: z.array(z.record(z.string(), z.unknown())) }));
const anything = z.unknown();

/** The one with the traffic comes first. */
export interface Deployment {
  readonly deployedAt: string;
  readonly version: string;
}

export interface Binding {
  readonly type: string;
  readonly name: string;
  readonly text?: string | undefined;
}

export type Row = Readonly<Record<string, unknown>>;

export interface CloudflareAccount {
  /** The account's name, when the token is good and sees it; and its Workers plan, where it may be seen. */
  check(): Promise<{ readonly name: string; readonly plan: "paid" | "free" | "not seen" }>;
  subdomain(): Promise<string | undefined>;
  registerSubdomain(name: string): Promise<void>;
  databaseId(name: string): Promise<string | undefined>;
  makeDatabase(name: string): Promise<string>;
  rows(databaseId: string, sql: string): Promise<readonly Row[]>;
  /** Id by title. */
  namespaces(): Promise<Readonly<Record<string, string>>>;
  makeNamespace(title: string): Promise<string>;
  buckets(): Promise<string[]>;
  makeBucket(name: string): Promise<void>;
  queues(): Promise<QueueThere[]>;
  makeQueue(name: string): Promise<void>;
  indexes(): Promise<IndexThere[]>;
  makeIndex(index: IndexThere): Promise<void>;
  /** Undefined where there is no such Worker. */
  deployments(worker: string): Promise<Deployment[] | undefined>;
  bindings(worker: string, version: string): Promise<readonly Binding[]>;
  crons(worker: string): Promise<string[]>;
  onWorkersDev(worker: string): Promise<boolean>;
  workerAt(host: string): Promise<string | undefined>;
  attach(host: string, worker: string): Promise<void>;
}

export function cloudflareAccount(options: ApiOptions): CloudflareAccount {
  const api = cloudflareApi(options);
  const script = (worker: string) => `/workers/scripts/${encodeURIComponent(worker)}`;
  const databases = () => api.list("/d1/database", databaseSchema);
  const namespaces = () => api.list("/storage/kv/namespaces", namespaceSchema);
  const buckets = () => api.list("/r2/buckets", bucketSchema, "buckets");
  const queues = () => api.list("/queues", queueSchema);
  const indexes = () => api.list("/vectorize/v2/indexes", indexSchema);

  /** A user's token and one of the account are verified at different paths. */
  const verify = async (): Promise<void> => {
    const schema = z.object({ status: z.string() });
    const { status } = await api.get("user/tokens/verify", schema).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.status >= 500) throw error;
      return api.get("/tokens/verify", schema);
    });
    if (status === "active") return;
    throw new DeployError(
      `CLOUDFLARE_API_TOKEN is ${status}.`,
      "Make another at https://dash.cloudflare.com/profile/api-tokens with the permissions of docs/deploy.md.",
    );
  };

  /** Billing is no permission that a deployment needs: who does not see the plan learns of it from a refusal. */
  const plan = async (): Promise<"paid" | "free" | "not seen"> => {
    const named = z.object({ id: z.string().nullish(), public_name: z.string().nullish() });
    const schema = z.object({ rate_plan: named.nullish() });
    try {
      const subscriptions = await api.list("/subscriptions", schema);
      const names = subscriptions.map(
        ({ rate_plan: rate }) => `${rate?.id ?? ""} ${rate?.public_name ?? ""}`,
      );
      return names.some((name) => /workers/i.test(name) && !/free/i.test(name)) ? "paid" : "free";
    } catch (error) {
      if (error instanceof ApiError && error.status < 500) return "not seen";
      throw error;
    }
  };

  return {
    async check() {
      await verify();
      const { name } = await api.get("", z.object({ name: z.string() }));
      return { name, plan: await plan() };
    },
    async subdomain() {
      const found = await api.find("/workers/subdomain", z.object({ subdomain: z.string() }));
      return found?.subdomain;
    },
    async registerSubdomain(name) {
      await api.send("PUT", "/workers/subdomain", anything, { subdomain: name });
    },
    databaseId: async (name) => (await databases()).find((each) => each.name === name)?.uuid,
    async makeDatabase(name) {
      const find = async () => (await databases()).find((each) => each.name === name);
      return (await api.make("/d1/database", databaseSchema, { name }, find)).uuid;
    },
    async rows(databaseId, sql) {
      const path = `/d1/database/${databaseId}/query`;
      const [first] = await api.send("POST", path, rowsSchema, { sql });
      return first?.results ?? [];
    },
    namespaces: async () =>
      Object.fromEntries((await namespaces()).map(({ id, title }) => [title, id])),
    async makeNamespace(title) {
      const find = async () => (await namespaces()).find((each) => each.title === title);
      return (await api.make("/storage/kv/namespaces", namespaceSchema, { title }, find)).id;
    },
    buckets: async () => (await buckets()).map(({ name }) => name),
    async makeBucket(name) {
      const find = async () => (await buckets()).find((each) => each.name === name);
      await api.make("/r2/buckets", bucketSchema, { name }, find);
    },
    queues: async () =>
      (await queues()).map(({ queue_name: name, consumers }) => ({
        name,
        consumers: consumers.flatMap(({ script: of, service }) => of ?? service ?? []),
      })),
    async makeQueue(name) {
      const find = async () => (await queues()).find((each) => each.queue_name === name);
      await api.make("/queues", queueSchema, { queue_name: name }, find);
    },
    indexes: async () => (await indexes()).map(({ name, config }) => ({ name, ...config })),
    async makeIndex({ name, dimensions, metric }) {
      const find = async () => (await indexes()).find((each) => each.name === name);
      const body = { name, config: { dimensions, metric } };
      await api.make("/vectorize/v2/indexes", indexSchema, body, find);
    },
    async deployments(worker) {
      const schema = z.object({ deployments: z.array(deploymentSchema).default([]) });
      const found = await api.find(`${script(worker)}/deployments`, schema);
      return found?.deployments.flatMap(({ created_on: deployedAt, versions }) => {
        const most = versions.toSorted((a, b) => b.percentage - a.percentage)[0];
        return most === undefined ? [] : [{ deployedAt, version: most.version_id }];
      });
    },
    async bindings(worker, version) {
      const resources = z.object({ bindings: z.array(bindingSchema).default([]) });
      const path = `${script(worker)}/versions/${version}`;
      return (await api.get(path, z.object({ resources }))).resources.bindings;
    },
    async crons(worker) {
      const schema = z.object({ schedules: z.array(z.object({ cron: z.string() })).default([]) });
      const { schedules } = await api.get(`${script(worker)}/schedules`, schema);
      return schedules.map(({ cron }) => cron);
    },
    async onWorkersDev(worker) {
      const schema = z.object({ enabled: z.boolean() });
      return (await api.get(`${script(worker)}/subdomain`, schema)).enabled;
    },
    async workerAt(host) {
      const schema = z.object({ hostname: z.string(), service: z.string() });
      const found = await api.list("/workers/domains", schema);
      return found.find(({ hostname }) => hostname === host)?.service;
    },
    async attach(host, worker) {
      await api.send("PUT", "/workers/domains", anything, { hostname: host, service: worker });
    },
  };
}
