// What the stand-in for Cloudflare's API keeps of Workers: versions with their bindings and modules, deployments, secrets,
// cron triggers, workers.dev and domains. An upload is refused when it is bound to something that is not there.
import { randomUUID } from "node:crypto";
import type { StorageState } from "./cloudflare-stand-in-storage.ts";
import { Refusal, type ApiRoute, type Asked } from "./cloudflare-stand-in-api.ts";

export interface BindingState {
  readonly name: string;
  readonly type: string;
  readonly text?: string;
  readonly id?: string;
  readonly namespace_id?: string;
  readonly bucket_name?: string;
  readonly queue_name?: string;
  readonly index_name?: string;
  readonly class_name?: string;
}

interface VersionState {
  readonly id: string;
  readonly bindings: readonly BindingState[];
  readonly modules: readonly string[];
  readonly metadata: Metadata;
}

interface Metadata {
  readonly main_module: string;
  readonly bindings: readonly BindingState[];
  readonly keep_bindings?: readonly string[];
  readonly compatibility_date: string;
  readonly compatibility_flags: readonly string[];
  readonly limits?: { readonly cpu_ms?: number };
  readonly migrations?: {
    readonly new_tag: string;
    readonly steps: readonly { readonly new_sqlite_classes?: readonly string[] }[];
  };
}

export interface WorkerState {
  readonly tag: string;
  readonly versions: VersionState[];
  /** The newest first. */
  readonly deployments: { readonly created_on: string; readonly version: string }[];
  readonly classes: Set<string>;
  migrationTag: string | undefined;
  crons: string[];
  onWorkersDev: boolean;
}

export function workersState(subdomain: string | undefined) {
  return {
    subdomain,
    /** Names under workers.dev that other accounts have. */
    othersSubdomains: new Set<string>(),
    scripts: new Map<string, WorkerState>(),
    /** Worker by host name. */
    domains: new Map<string, string>(),
    /** Host names that have a DNS record. */
    records: new Set<string>(),
    /** Whether the account's plan takes CPU limits. */
    paid: true,
  };
}
export type WorkersState = ReturnType<typeof workersState>;

/** The version that has the traffic. */
export function liveVersion(state: WorkersState, name: string): VersionState | undefined {
  const worker = state.scripts.get(name);
  return worker?.versions.find(({ id }) => id === worker.deployments[0]?.version);
}

export function workerRoutes(state: WorkersState, storage: StorageState): ApiRoute[] {
  const workerOf = (name = ""): WorkerState => {
    const found = state.scripts.get(name);
    if (found !== undefined) return found;
    throw new Refusal(404, 10_007, "This Worker does not exist on your account.");
  };
  const there: Readonly<Record<string, (binding: BindingState) => boolean>> = {
    d1: ({ id }) => [...storage.databases.values()].some(({ uuid }) => uuid === id),
    kv_namespace: ({ namespace_id: id }) => [...storage.namespaces.values()].includes(id ?? ""),
    r2_bucket: ({ bucket_name: name }) => storage.buckets.has(name ?? ""),
    queue: ({ queue_name: name }) => storage.queues.has(name ?? ""),
    vectorize: ({ index_name: name }) => storage.indexes.has(name ?? ""),
  };

  async function upload(asked: Asked, name: string): Promise<VersionState> {
    const form = await asked.form();
    const metadata = JSON.parse(form.get("metadata") as string) as Metadata;
    const worker = state.scripts.get(name);
    const classes = new Set(worker?.classes);
    for (const { new_sqlite_classes: made = [] } of metadata.migrations?.steps ?? []) {
      for (const one of made) classes.add(one);
    }
    if (metadata.limits?.cpu_ms !== undefined && !state.paid) {
      throw new Refusal(400, 100_328, "CPU limits are not supported for the Free plan.");
    }
    for (const binding of metadata.bindings) {
      const good =
        binding.type === "durable_object_namespace"
          ? classes.has(binding.class_name ?? "")
          : (there[binding.type]?.(binding) ?? true);
      if (!good) {
        const message = `binding ${binding.name} of type ${binding.type} must have a valid \`id\` specified`;
        throw new Refusal(400, 10_021, message);
      }
    }
    const given = new Set(metadata.bindings.map((binding) => binding.name));
    const kept = (worker?.versions.at(-1)?.bindings ?? []).filter(
      (binding) =>
        metadata.keep_bindings?.includes(binding.type) === true && !given.has(binding.name),
    );
    const modules = [...form.keys()].filter((key) => key !== "metadata");
    if (!modules.includes(metadata.main_module)) {
      throw new Refusal(400, 10_021, `No such module "${metadata.main_module}".`);
    }
    const version = {
      ...{ id: randomUUID(), bindings: [...metadata.bindings, ...kept], modules, metadata },
    };
    const into: WorkerState = worker ?? {
      ...{ tag: randomUUID(), versions: [], deployments: [], classes },
      ...{ migrationTag: undefined, crons: [], onWorkersDev: false },
    };
    for (const one of classes) into.classes.add(one);
    into.migrationTag = metadata.migrations?.new_tag ?? into.migrationTag;
    into.versions.push(version);
    state.scripts.set(name, into);
    return version;
  }

  const deploy = (name: string, version: string) => {
    const created_on = new Date(1_900_000_000_000 + workerOf(name).deployments.length * 60_000);
    workerOf(name).deployments.unshift({ created_on: created_on.toISOString(), version });
  };
  const bindingOf = ({ text, ...binding }: BindingState) =>
    binding.type === "secret_text" ? binding : { ...binding, text };
  const deploymentOf = ({ created_on, version }: WorkerState["deployments"][number]) => ({
    ...{ id: randomUUID(), source: "wrangler", strategy: "percentage", created_on },
    versions: [{ version_id: version, percentage: 100 }],
  });
  const script = (rest: string) => new RegExp(`^/workers/scripts/([^/]+)${rest}$`);
  const area = "workers" as const;
  interface Body {
    readonly subdomain: string;
    readonly enabled: boolean;
    readonly hostname: string;
    readonly service: string;
    readonly versions: readonly { readonly version_id: string }[];
  }
  return [
    {
      ...{ area, method: "GET", path: /^\/workers\/subdomain$/ },
      answer() {
        if (state.subdomain !== undefined) return { subdomain: state.subdomain };
        throw new Refusal(404, 10_007, "workers.api.error.subdomain_not_found");
      },
    },
    {
      ...{ area, method: "PUT", path: /^\/workers\/subdomain$/ },
      async answer(asked) {
        const { subdomain } = (await asked.json()) as Body;
        if (state.othersSubdomains.has(subdomain)) {
          throw new Refusal(409, 10_031, "Subdomain is unavailable, please try a different one.");
        }
        state.subdomain = subdomain;
        return { subdomain };
      },
    },
    {
      ...{ area, method: "GET", path: /^\/workers\/services\/([^/]+)$/ },
      answer(_asked, name) {
        const worker = state.scripts.get(name ?? "");
        if (worker === undefined) {
          throw new Refusal(404, 10_090, "workers.api.error.service_not_found");
        }
        const { tag, migrationTag: migration_tag } = worker;
        const of = { id: name, tag, tags: [], migration_tag, last_deployed_from: "wrangler" };
        return { id: name, default_environment: { environment: "production", script: of } };
      },
    },
    {
      ...{ area, method: "GET", path: /^\/workers\/workers\/([^/]+)$/ },
      answer: (_asked, name) => ({
        id: name,
        subdomain: { enabled: workerOf(name).onWorkersDev, previews_enabled: false },
      }),
    },
    {
      ...{ area, method: "PUT", path: script("") },
      async answer(asked, name = "") {
        const { id } = await upload(asked, name);
        deploy(name, id);
        const deployment_id = id.replaceAll("-", "");
        return { id: name, etag: "e", startup_time_ms: 20, deployment_id, tag: "t" };
      },
    },
    {
      ...{ area, method: "POST", path: script("/versions") },
      async answer(asked, name = "") {
        workerOf(name);
        const { id } = await upload(asked, name);
        const resources = { script: { etag: "e" } };
        return { id, number: 2, resources, startup_time_ms: 20, metadata: { has_preview: false } };
      },
    },
    {
      ...{ area, method: "GET", path: script("/versions/([^/]+)") },
      answer(_asked, name, id) {
        const found = workerOf(name).versions.find((version) => version.id === id);
        if (found === undefined) throw new Refusal(404, 10_045, "No such version.");
        return {
          ...{ id, number: 1, metadata: { created_on: "2030-01-01T00:00:00Z" }, annotations: {} },
          resources: { bindings: found.bindings.map(bindingOf), script: {}, script_runtime: {} },
        };
      },
    },
    {
      ...{ area, method: "GET", path: script("/deployments") },
      answer: (_asked, name) => ({ deployments: workerOf(name).deployments.map(deploymentOf) }),
    },
    {
      ...{ area, method: "POST", path: script("/deployments") },
      async answer(asked, name = "") {
        const [only] = ((await asked.json()) as Body).versions;
        deploy(name, only?.version_id ?? "");
        return { id: randomUUID(), strategy: "percentage", versions: [] };
      },
    },
    {
      ...{ area, method: "GET", path: script("/secrets") },
      answer: (_asked, name) => {
        workerOf(name);
        const bindings = liveVersion(state, name ?? "")?.bindings ?? [];
        return bindings.filter(({ type }) => type === "secret_text").map(bindingOf);
      },
    },
    {
      ...{ area, method: "GET", path: script("/settings") },
      answer(_asked, name) {
        workerOf(name);
        return { bindings: (liveVersion(state, name ?? "")?.bindings ?? []).map(bindingOf) };
      },
    },
    {
      ...{ area, method: "PATCH", path: script("/script-settings") },
      answer: async (asked) => asked.json(),
    },
    {
      ...{ area, method: "GET", path: script("/schedules") },
      answer: (_asked, name) => ({ schedules: workerOf(name).crons.map((cron) => ({ cron })) }),
    },
    {
      ...{ area, method: "PUT", path: script("/schedules") },
      async answer(asked, name) {
        const wanted = (await asked.json()) as readonly { readonly cron: string }[];
        workerOf(name).crons = wanted.map(({ cron }) => cron);
        return { schedules: wanted };
      },
    },
    {
      ...{ area, method: "GET", path: script("/subdomain") },
      answer: (_asked, name) => ({
        enabled: workerOf(name).onWorkersDev,
        previews_enabled: false,
      }),
    },
    {
      ...{ area, method: "POST", path: script("/subdomain") },
      async answer(asked, name) {
        workerOf(name).onWorkersDev = ((await asked.json()) as Body).enabled;
        return { enabled: workerOf(name).onWorkersDev, previews_enabled: false };
      },
    },
    {
      ...{ area, method: "GET", path: /^\/workers\/domains$/ },
      answer: () => [...state.domains].map(([hostname, service]) => ({ hostname, service })),
    },
    {
      ...{ area, method: "PUT", path: /^\/workers\/domains$/ },
      async answer(asked) {
        const { hostname, service } = (await asked.json()) as Body;
        workerOf(service);
        if (state.records.has(hostname)) {
          throw new Refusal(409, 100_117, "Hostname already has externally managed DNS records.");
        }
        state.domains.set(hostname, service);
        return { id: randomUUID(), hostname, service };
      },
    },
  ];
}
