// What a deployment is to come to: the resources of an environment by their names, its variables and its secrets. Pure.
import { parseSettings } from "../../edge/src/config.ts";
import { DeployError } from "./deploy-error.ts";
import type { Environment } from "./environment.ts";
import { namesIn, workerConfig, type Ids, type Names, type SourceConfig } from "./source-config.ts";

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
  /** Ids of the keys that NODE_KEYS must hold, the first signs. */
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

const key = "a secret of thirty-two characters";

/** The Worker's own check of its settings, with secrets that only have their form. Throws DeployError. */
function checkSettings(
  vars: Readonly<Record<string, string>>,
  nodeIds: readonly string[],
  environment: string,
): void {
  try {
    parseSettings({
      ...vars,
      NODE_KEYS: nodeIds.map((id) => `${id}:${key.replaceAll(" ", "-")}`).join(","),
      PARTITION_SECRET: key,
    });
  } catch (error) {
    throw new DeployError(
      error instanceof Error ? error.message : String(error),
      `Correct it with --set NAME=VALUE, or in edge/environments/${environment}.json.`,
    );
  }
}

/** Throws DeployError for settings with which the Worker would not start. */
export function wantedOf(input: WantedInput): Wanted {
  const { source, environment, said } = input;
  const names = namesIn(source, environment);
  const announced = Object.entries(said.nodes).map(([id, origin]) => `${id}=${origin}`);
  if (announced.length === 0 && said.vars["NODE_URL"] === undefined) {
    throw new DeployError(
      "No node is named, and a Worker without one answers nothing.",
      "Say where the first will be reached, which need not exist yet: --node gpu-1=https://gpu-1.example.com, " +
        "a host name of yours at which its tunnel will end (docs/operate.md).",
    );
  }
  const nodeIds = announced.length === 0 ? ["node-1"] : Object.keys(said.nodes);
  const varsAt = (host: string) => ({
    MCP_HOSTS: host,
    ...said.vars,
    ...(announced.length === 0 ? {} : { ANNOUNCE_ORIGINS: announced.join(",") }),
  });
  checkSettings({ ...varsAt("example.com") }, nodeIds, environment);
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
