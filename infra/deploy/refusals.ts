// What a deployment must not do: take what is another's, or lose data. Pure; each refusal says how to go on.
import { DeployError } from "./deploy-error.ts";
import type { There } from "./there.ts";
import type { Wanted } from "./wanted.ts";

/** Which secrets this machine holds; see secrets.ts. */
export interface HeldSecrets {
  /** Names of secrets of the Worker. */
  readonly names: readonly string[];
  /** Ids of the keys of nodes. */
  readonly nodeIds: readonly string[];
  /** The first admin key was asked for, and it is not known whether it was made. */
  readonly adminAsked: boolean;
  /** Where they are, for the words. */
  readonly file: string;
}

/** Ids of the keys in the Worker's NODE_KEYS: its ANNOUNCE_ORIGINS tells; without, it was deployed with node-1. */
function nodeIdsAt(worker: There["worker"]): readonly string[] {
  if (worker?.secrets.includes("NODE_KEYS") !== true) return [];
  return worker.nodeIds.length > 0 ? worker.nodeIds : ["node-1"];
}

/** Nodes whose keys the Worker does not have. */
export const nodesToAdd = ({ nodeIds }: Wanted, worker: There["worker"]): string[] =>
  nodeIds.filter((id) => !nodeIdsAt(worker).includes(id));

type Refusal = (wanted: Wanted, there: There, held: HeldSecrets) => DeployError | undefined;

const another: Refusal = ({ names, adopt }, { worker }) =>
  worker === undefined || worker.deployment !== undefined || adopt
    ? undefined
    : new DeployError(
        `The account has a Worker named ${names.worker} that this command did not deploy.`,
        "If it is an earlier deployment of blip2-edge, say --adopt; it keeps its secrets. Otherwise choose another " +
          "environment with --env NAME.",
      );

const anothersDatabase: Refusal = ({ names, migrations }, { database }) =>
  database === undefined ||
  database.tables.length === 0 ||
  migrations.some((name) => database.applied.includes(name))
    ? undefined
    : new DeployError(
        `The D1 database ${names.database} holds something else: ${database.tables.slice(0, 5).join(", ")}.`,
        "Choose another environment with --env NAME, or rename that database's owner's resources.",
      );

const anothersQueue: Refusal = ({ names }, { queues }) => {
  for (const { name, consumers } of queues) {
    const other = consumers.find((worker) => worker !== names.worker);
    if (names.consumed.includes(name) && other !== undefined) {
      return new DeployError(
        `The queue ${name} is consumed by ${other}, and a queue has one consumer.`,
        `Take it away there (npx wrangler queues consumer remove ${name} ${other}), or choose another --env NAME.`,
      );
    }
  }
  return undefined;
};

const anotherShape: Refusal = ({ index }, { indexes }) => {
  const found = indexes.find(({ name }) => name === index?.name);
  return index === undefined ||
    found === undefined ||
    (found.dimensions === index.dimensions && found.metric === index.metric)
    ? undefined
    : new DeployError(
        `The Vectorize index ${found.name} has ${found.dimensions} dimensions and the metric ${found.metric}, not ` +
          `${index.dimensions} and ${index.metric}.`,
        "An index cannot be changed: delete it when nothing uses it (npx wrangler vectorize delete), or choose another --env NAME.",
      );
};

const anothersDomain: Refusal = ({ domain, names }, { domainOf }) =>
  domain === undefined || domainOf === undefined || domainOf === names.worker
    ? undefined
    : new DeployError(
        `The host name ${domain} belongs to the Worker ${domainOf}.`,
        "Take it away there in the dashboard, or choose another --domain.",
      );

/** Stored secrets and the partitions' tags are made with it: a new one makes them unreadable. */
const lostSecret: Refusal = (_wanted, { worker, database }, held) =>
  database?.hasKeys !== true ||
  worker?.secrets.includes("PARTITION_SECRET") === true ||
  held.names.includes("PARTITION_SECRET")
    ? undefined
    : new DeployError(
        "The database has been in use, and the PARTITION_SECRET that it was used with is neither at Cloudflare nor here.",
        `Put it into ${held.file} as "PARTITION_SECRET" from where you keep your secrets. A new one makes stored ` +
          "secrets of connections and webhooks unreadable for good; who accepts that puts a new one there.",
      );

/** Secrets cannot be read back, so one that is extended has to be known here whole. */
const unknownKeys: Refusal = (wanted, { worker }, held) => {
  const added = nodesToAdd(wanted, worker);
  const lacking = nodeIdsAt(worker).filter((id) => !held.nodeIds.includes(id));
  return added.length === 0 || lacking.length === 0
    ? undefined
    : new DeployError(
        `${added.join(", ")} cannot be added: NODE_KEYS cannot be read back from Cloudflare, and ${held.file} lacks ` +
          `what it holds of ${lacking.join(", ")}.`,
        `Put that there under "NODE_KEYS", each as "ID": "SECRET"; the nodes' own key files have it.`,
      );
};

const unknownOperator: Refusal = (_wanted, { worker, database }, held) =>
  worker?.secrets.includes("OPERATOR_KEYS") !== true ||
  database?.hasAdminKey === true ||
  held.names.includes("OPERATOR_KEYS")
    ? undefined
    : new DeployError(
        `There is no admin key yet, and the operator key that makes one is at Cloudflare but not in ${held.file}.`,
        'Put it there as "OPERATOR_KEYS", or set a new one (docs/keys.md) and put that there.',
      );

/** Throws the first refusal. */
export function refuse(wanted: Wanted, there: There, held: HeldSecrets): void {
  for (const refusal of [
    ...[another, anothersDatabase, anothersQueue, anotherShape, anothersDomain],
    ...[lostSecret, unknownKeys, unknownOperator],
  ]) {
    const error = refusal(wanted, there, held);
    if (error !== undefined) throw error;
  }
}
