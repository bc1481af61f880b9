// edge/wrangler.jsonc, the one source of what the Worker is bound to, and what it is called in an environment. Pure;
// worker-config.ts makes of it what wrangler is given.
import { z } from "zod";
import { parseWranglerText } from "../start/worker-bundle.ts";

/** Stand in wrangler.jsonc as comments; an environment may use them. */
export const optionalBindings = ["images", "vectorize", "analytics_engine_datasets"] as const;

const loose = z.looseObject;
const sourceSchema = z.strictObject({
  $schema: z.string().optional(),
  name: z.string(),
  main: z.string(),
  build: z.unknown(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()),
  send_metrics: z.literal(false),
  observability: z.unknown(),
  d1_databases: z.tuple([
    loose({ binding: z.string(), database_name: z.string(), migrations_dir: z.string() }),
  ]),
  kv_namespaces: z.array(loose({ binding: z.string() })),
  durable_objects: z.unknown(),
  migrations: z.unknown(),
  r2_buckets: z.array(loose({ bucket_name: z.string() })),
  queues: z.strictObject({
    producers: z.array(loose({ queue: z.string() })),
    consumers: z.array(loose({ queue: z.string(), dead_letter_queue: z.string().optional() })),
  }),
  limits: z.unknown(),
  triggers: z.strictObject({ crons: z.array(z.string()) }),
  images: z.unknown().optional(),
  vectorize: z.array(loose({ index_name: z.string() })).optional(),
  analytics_engine_datasets: z.array(loose({ dataset: z.string() })).optional(),
  vars: z.record(z.string(), z.string()),
});
export type SourceConfig = z.infer<typeof sourceSchema>;

/**
 * Reads the file's text, with the bindings in `use` taken out of their comments. Throws where it holds what a
 * deployment would not know how to make.
 */
export function readSourceConfig(text: string, use: readonly string[]): SourceConfig {
  const open = use.reduce((read, name) => {
    const comment = new RegExp(`^(\\s*)// ("${name}": )`, "m");
    if (!comment.test(read)) throw new Error(`edge/wrangler.jsonc has no comment with "${name}"`);
    return read.replace(comment, "$1$2");
  }, text);
  return sourceSchema.parse(parseWranglerText(open));
}

/** What the resources of an environment are called in the account. */
export interface Names {
  readonly worker: string;
  readonly database: string;
  /** Title of the KV namespace by its binding. */
  readonly namespaces: Readonly<Record<string, string>>;
  readonly buckets: readonly string[];
  readonly queues: readonly string[];
  /** Those that the Worker consumes. */
  readonly consumed: readonly string[];
  readonly index: string | undefined;
}

/** Production has the names of wrangler.jsonc; every other environment a suffix. */
export const suffixOf = (environment: string): string =>
  environment === "production" ? "" : `-${environment}`;

export function namesIn(source: SourceConfig, environment: string): Names {
  const suffix = suffixOf(environment);
  const named = (name: string) => `${name}${suffix}`;
  const worker = named(source.name);
  const { producers, consumers } = source.queues;
  const queues = [
    ...producers.map(({ queue }) => queue),
    ...consumers.flatMap(({ queue, dead_letter_queue: dead }) => [queue, ...(dead ? [dead] : [])]),
  ];
  const indexes = source.vectorize ?? [];
  return {
    worker,
    database: named(source.d1_databases[0].database_name),
    namespaces: Object.fromEntries(
      source.kv_namespaces.map(({ binding }) => [
        binding,
        `${worker}-${binding.toLowerCase().replaceAll("_", "-")}`,
      ]),
    ),
    buckets: source.r2_buckets.map(({ bucket_name: name }) => named(name)),
    queues: [...new Set(queues)].map(named),
    consumed: consumers.map(({ queue }) => named(queue)),
    index: indexes[0] === undefined ? undefined : named(indexes[0].index_name),
  };
}
