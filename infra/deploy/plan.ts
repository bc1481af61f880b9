// What has to be done, as a pure function of what is wanted and what is there. Every step is of something that is
// missing or different, so the plan for what a plan has made is empty, and a run that was broken off goes on.
import { DeployError } from "./deploy-error.ts";
import { nodesToAdd, refuse, type HeldSecrets } from "./refusals.ts";
import type { There } from "./there.ts";
import type { Wanted } from "./wanted.ts";

export type Step =
  | { readonly kind: "subdomain" | "database" | "bucket" | "queue"; readonly name: string }
  | { readonly kind: "namespace"; readonly title: string }
  | {
      readonly kind: "index";
      readonly name: string;
      readonly dimensions: number;
      readonly metric: string;
    }
  | { readonly kind: "migrate"; readonly names: readonly string[] }
  | { readonly kind: "deploy"; readonly why: string; readonly secrets: readonly string[] }
  | { readonly kind: "domain"; readonly host: string }
  | { readonly kind: "admin-key"; readonly tenant: string };

/** Where the Worker answers; undefined while the account has no name under workers.dev. */
export function hostOf(wanted: Wanted, there: There): string | undefined {
  if (wanted.domain !== undefined) return wanted.domain;
  const subdomain = there.subdomain ?? wanted.workersDev;
  return subdomain === undefined ? undefined : `${wanted.names.worker}.${subdomain}.workers.dev`;
}

/** Which of its secrets a Worker lacks. One that runs without LINK_SECRETS keeps the key that its links were made with. */
export function secretsToSet(wanted: Wanted, { worker }: There): string[] {
  const has = worker?.secrets ?? [];
  const always = ["PARTITION_SECRET", "OPERATOR_KEYS"].filter((name) => !has.includes(name));
  const links = worker === undefined ? ["LINK_SECRETS"] : [];
  const keys = nodesToAdd(wanted, worker).length > 0 ? ["NODE_KEYS"] : [];
  return [...always, ...links, ...keys];
}

function whyDeploy(wanted: Wanted, there: There, host: string): string | undefined {
  const { worker, database } = there;
  if (worker === undefined) return "it is not there";
  const secrets = secretsToSet(wanted, there);
  if (secrets.length > 0) return `it lacks ${secrets.join(", ")}`;
  const ids = { database: database?.id ?? "", namespaces: there.namespaces };
  const complete =
    database !== undefined &&
    Object.values(wanted.names.namespaces).every((title) => title in there.namespaces);
  if (!complete || worker.deployment !== wanted.config(ids, host).deployment) {
    return "its sources, settings or resources have changed";
  }
  if (wanted.crons.toSorted().join() !== worker.crons.toSorted().join()) {
    return "its cron triggers are others";
  }
  const idle = wanted.names.consumed.find(
    (name) => there.queues.find((queue) => queue.name === name)?.consumers.length !== 1,
  );
  if (idle !== undefined) return `it does not consume the queue ${idle}`;
  if (wanted.domain === undefined && !worker.onWorkersDev) return "it is not on workers.dev";
  return undefined;
}

/** The steps that are left, in order. Throws DeployError for what must not be done, or cannot. */
export function plan(wanted: Wanted, there: There, held: HeldSecrets): Step[] {
  refuse(wanted, there, held);
  const host = hostOf(wanted, there);
  if (host === undefined) {
    throw new DeployError(
      "The account has no name under workers.dev yet, at which the Worker could answer.",
      "Choose one with --workers-dev NAME (it serves all Workers of the account), or give the Worker a host of " +
        "your own with --domain.",
    );
  }
  const { names, index } = wanted;
  const steps: Step[] = [];
  if (wanted.domain === undefined && there.subdomain === undefined) {
    steps.push({ kind: "subdomain", name: wanted.workersDev ?? "" });
  }
  if (there.database === undefined) steps.push({ kind: "database", name: names.database });
  for (const title of Object.values(names.namespaces)) {
    if (!(title in there.namespaces)) steps.push({ kind: "namespace", title });
  }
  for (const name of names.buckets) {
    if (!there.buckets.includes(name)) steps.push({ kind: "bucket", name });
  }
  for (const name of names.queues) {
    if (there.queues.every((queue) => queue.name !== name)) steps.push({ kind: "queue", name });
  }
  if (index !== undefined && there.indexes.every(({ name }) => name !== index.name)) {
    steps.push({ kind: "index", ...index });
  }
  const applied = there.database?.applied ?? [];
  const waiting = wanted.migrations.filter((name) => !applied.includes(name));
  if (waiting.length > 0) steps.push({ kind: "migrate", names: waiting });
  const why = whyDeploy(wanted, there, host);
  if (why !== undefined) {
    steps.push({ kind: "deploy", why, secrets: secretsToSet(wanted, there) });
  }
  if (wanted.domain !== undefined && there.domainOf === undefined) {
    steps.push({ kind: "domain", host: wanted.domain });
  }
  if (there.database?.hasAdminKey !== true || held.adminAsked) {
    steps.push({ kind: "admin-key", tenant: wanted.tenant });
  }
  return steps;
}

/** A step in words. */
export function describe(step: Step): string {
  switch (step.kind) {
    case "subdomain":
      return `register ${step.name}.workers.dev for the account`;
    case "database":
      return `make the D1 database ${step.name}`;
    case "namespace":
      return `make the KV namespace ${step.title}`;
    case "bucket":
      return `make the R2 bucket ${step.name}`;
    case "queue":
      return `make the queue ${step.name}`;
    case "index":
      return `make the Vectorize index ${step.name} (${step.dimensions} dimensions, ${step.metric})`;
    case "migrate":
      return `migrate the database: ${step.names.join(", ")}`;
    case "deploy":
      return `deploy the Worker: ${step.why}${step.secrets.length === 0 ? "" : `; with it the secrets ${step.secrets.join(", ")}`}`;
    case "domain":
      return `give the Worker the host name ${step.host}`;
    case "admin-key":
      return `make the first admin key, of the tenant ${step.tenant}`;
  }
}
