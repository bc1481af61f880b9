// What a deployment is to come to: the resources of an environment by their names, its variables and its secrets. Pure.
import { parseSettings } from "../../edge/src/config.ts";
import { DeployError } from "./deploy-error.ts";
import type { Environment } from "./environment.ts";
import { namesIn, type Names, type SourceConfig } from "./source-config.ts";
import { workerConfig, type Ids } from "./worker-config.ts";

/** Where a Vectorize index is used: BLIP-2's numbers (docs/search.md). */
const indexShape = { dimensions: 256, metric: "cosine" } as const;

export interface Wanted {
  readonly environment: string;
  readonly names: Names;
  readonly index: ({ readonly name: string } & typeof indexShape) | undefined;
  readonly crons: readonly string[];
  readonly domain: string | undefined;
  /** Name to register under workers.dev when the account has none. */
  readonly workersDev: string | undefined;
  /** Ids of the keys that NODE_KEYS must hold; nodes that join need none. */
  readonly nodeIds: readonly string[];
  /** Files of edge/migrations, in order. */
  readonly migrations: readonly string[];
  readonly tenant: string;
  readonly adopt: boolean;
  /** What wrangler is given, once the ids and the host are known. */
  config(ids: Ids, host: string): ReturnType<typeof workerConfig>;
}

export interface WantedInput {
  readonly source: SourceConfig;
  readonly environment: string;
  readonly said: Environment;
  readonly migrations: readonly string[];
  /** A digest of what goes into the bundle. */
  readonly sources: string;
  readonly tenant: string;
  readonly workersDev: string | undefined;
  readonly adopt: boolean;
}

/** The Worker's own check of its settings, with secrets that only have their form. Throws DeployError. */
function checkSettings(
  vars: Readonly<Record<string, string>>,
  nodeIds: readonly string[],
  environment: string,
): void {
  const secret = "0".repeat(32);
  try {
    parseSettings({
      ...vars,
      ...(nodeIds.length === 0
        ? {}
        : { NODE_KEYS: nodeIds.map((id) => `${id}:${secret}`).join(",") }),
      OPERATOR_KEYS: `b2e_operator_${secret}`,
      PARTITION_SECRET: secret,
    });
  } catch (error) {
    throw new DeployError(
      error instanceof Error ? error.message : String(error),
      `Correct it with --set NAME=VALUE, or in edge/environments/${environment}.json.`,
    );
  }
}

/** The keys that the settings want: of nodes that announce themselves with one, or of those that NODE_URL lists. */
function nodeIdsOf({ nodes, vars }: Environment): string[] {
  const ids = Object.keys(nodes);
  return ids.length === 0 && vars["NODE_URL"] !== undefined ? ["node-1"] : ids;
}

/** Throws DeployError for settings with which the Worker would not start. */
export function wantedOf(input: WantedInput): Wanted {
  const { source, environment, said } = input;
  const names = namesIn(source, environment);
  const announced = Object.entries(said.nodes).map(([id, origin]) => `${id}=${origin}`);
  const nodeIds = nodeIdsOf(said);
  const varsAt = (host: string) => ({
    MCP_HOSTS: host,
    ...said.vars,
    ...(announced.length === 0 ? {} : { ANNOUNCE_ORIGINS: announced.join(",") }),
  });
  checkSettings(varsAt("example.com"), nodeIds, environment);
  return {
    environment,
    names,
    index: names.index === undefined ? undefined : { name: names.index, ...indexShape },
    crons: source.triggers.crons,
    domain: said.domain,
    workersDev: input.workersDev,
    nodeIds,
    migrations: input.migrations,
    tenant: input.tenant,
    adopt: input.adopt,
    config: (ids, host) =>
      workerConfig(
        source,
        environment,
        ids,
        { vars: varsAt(host), workersDev: said.domain === undefined },
        { digest: input.sources, migration: input.migrations.at(-1) ?? "" },
      ),
  };
}
