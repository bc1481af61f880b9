// What wrangler is given in the place of edge/wrangler.jsonc: the same with an environment's names, an account's ids and the
// operator's variables. Pure.
import { createHash } from "node:crypto";
import { namesIn, suffixOf, type SourceConfig } from "./source-config.ts";

export interface Ids {
  readonly database: string;
  /** By the namespace's title. */
  readonly namespaces: Readonly<Record<string, string>>;
}

export interface WorkerConfig {
  /** What is given to wrangler. */
  readonly config: Readonly<Record<string, unknown>>;
  /**
   * A digest of the sources and of everything above, and the last migration that they know; it stands in the Worker's
   * variable of that name.
   */
  readonly deployment: string;
}

/** The last migration that a deployment knows. */
export const migrationOf = (deployment: string): string | undefined => deployment.split(" ")[1];

/** The configuration that wrangler gets: wrangler.jsonc with this environment's names, ids and variables. */
export function workerConfig(
  source: SourceConfig,
  environment: string,
  ids: Ids,
  settings: { readonly vars: Readonly<Record<string, string>>; readonly workersDev: boolean },
  sources: { readonly digest: string; readonly migration: string },
): WorkerConfig {
  const names = namesIn(source, environment);
  const suffix = suffixOf(environment);
  const { NODE_URL: _placeholder, ...vars } = source.vars;
  const config = {
    ...source,
    name: names.worker,
    workers_dev: settings.workersDev,
    // A preview would be another door to the same data.
    preview_urls: false,
    d1_databases: source.d1_databases.map((each) => ({
      ...each,
      database_name: names.database,
      database_id: ids.database,
    })),
    kv_namespaces: source.kv_namespaces.map((each) => ({
      ...each,
      id: ids.namespaces[names.namespaces[each.binding] ?? ""],
    })),
    r2_buckets: source.r2_buckets.map((each) => ({
      ...each,
      bucket_name: `${each.bucket_name}${suffix}`,
    })),
    queues: {
      producers: source.queues.producers.map((each) => ({
        ...each,
        queue: `${each.queue}${suffix}`,
      })),
      consumers: source.queues.consumers.map((each) => ({
        ...each,
        queue: `${each.queue}${suffix}`,
        ...(each.dead_letter_queue === undefined
          ? {}
          : { dead_letter_queue: `${each.dead_letter_queue}${suffix}` }),
      })),
    },
    ...(source.vectorize === undefined
      ? {}
      : {
          vectorize: source.vectorize.map((each) => ({
            ...each,
            index_name: `${each.index_name}${suffix}`,
          })),
        }),
    ...(source.analytics_engine_datasets === undefined
      ? {}
      : {
          analytics_engine_datasets: source.analytics_engine_datasets.map((each) => ({
            ...each,
            dataset: `${each.dataset}${suffix.replaceAll("-", "_")}`,
          })),
        }),
    vars: { ...vars, ...settings.vars },
  };
  const digest = createHash("sha256").update(`${sources.digest}\0${JSON.stringify(config)}`);
  const deployment = `${digest.digest("hex").slice(0, 32)} ${sources.migration}`;
  return {
    config: { ...config, vars: { ...config.vars, DEPLOYMENT: deployment } },
    deployment,
  };
}
