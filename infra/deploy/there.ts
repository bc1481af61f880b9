// What is in the account of everything that a deployment wants: plain data, read by read-there.ts and compared by plan.ts.

export interface QueueThere {
  readonly name: string;
  /** Workers that take its messages. */
  readonly consumers: readonly string[];
}

export interface IndexThere {
  readonly name: string;
  readonly dimensions: number;
  readonly metric: string;
}

export interface DatabaseThere {
  readonly id: string;
  /** Migrations that it has seen. */
  readonly applied: readonly string[];
  /** Tables of its own that it has, whoever made them. */
  readonly tables: readonly string[];
  readonly hasKeys: boolean;
  /** One that is not revoked. */
  readonly hasAdminKey: boolean;
}

export interface WorkerThere {
  /** Of the version that has the traffic. */
  readonly version: string;
  readonly deployedAt: string;
  /** Its variable DEPLOYMENT; undefined for a Worker that this command did not deploy. */
  readonly deployment: string | undefined;
  /** Names of its secrets. */
  readonly secrets: readonly string[];
  /** Keys that its ANNOUNCE_ORIGINS names; NODE_KEYS has them. */
  readonly nodeIds: readonly string[];
  readonly crons: readonly string[];
  /** Whether it answers under workers.dev. */
  readonly onWorkersDev: boolean;
}

export interface There {
  /** The account's name under workers.dev. */
  readonly subdomain: string | undefined;
  readonly database: DatabaseThere | undefined;
  /** Id by title. */
  readonly namespaces: Readonly<Record<string, string>>;
  readonly buckets: readonly string[];
  readonly queues: readonly QueueThere[];
  readonly indexes: readonly IndexThere[];
  readonly worker: WorkerThere | undefined;
  /** Which Worker has the wanted domain. */
  readonly domainOf: string | undefined;
}

/** An account in which nothing is. */
export const nothingThere: There = {
  subdomain: undefined,
  database: undefined,
  namespaces: {},
  buckets: [],
  queues: [],
  indexes: [],
  worker: undefined,
  domainOf: undefined,
};
