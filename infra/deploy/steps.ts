// Carries out one step of a plan and says what is there after it. A step may be carried out twice: what it makes has a
// name, and what it sends is the same again.
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { scopes } from "@blip2-edge/shared/contracts/keys";
import type { CloudflareAccount } from "./cloudflare.ts";
import { DeployError } from "./deploy-error.ts";
import { hostOf, type Step } from "./plan.ts";
import { readDatabase, readWorker } from "./read-there.ts";
import type { SecretStore } from "./secrets.ts";
import { clientAt, untilItAnswers, type Live } from "./smoke.ts";
import type { There } from "./there.ts";
import type { Wanted } from "./wanted.ts";
import type { Wrangler } from "./wrangler.ts";

export interface Hands {
  readonly account: CloudflareAccount;
  readonly wrangler: Wrangler;
  readonly secrets: SecretStore;
  /** Where the configuration with the real ids is written; beside wrangler.jsonc, whose paths it has. */
  readonly configFile: string;
  readonly live: Live;
}

const needed = <T>(value: T | undefined, what: string): T => {
  if (value === undefined) throw new Error(`a step came before ${what}`);
  return value;
};

async function writeConfig(wanted: Wanted, there: There, { configFile }: Hands): Promise<void> {
  const { id: database } = needed(there.database, "the database");
  const host = needed(hostOf(wanted, there), "the address");
  const { config } = wanted.config({ database, namespaces: there.namespaces }, host);
  await writeFile(configFile, `${JSON.stringify(config, null, 2)}\n`);
}

/** Asked for with the same Idempotency-Key until the answer is kept, so that it is one key, and known. */
async function makeAdminKey(tenant: string, { secrets, live }: Hands): Promise<void> {
  const { OPERATOR_KEYS, admin } = secrets.get();
  const request = admin?.key === undefined ? (admin?.request ?? randomUUID()) : randomUUID();
  const [operator] = needed(OPERATOR_KEYS, "the operator key").split(",");
  await untilItAnswers(live);
  await secrets.keepAdmin({ request });
  const made = await clientAt(live, operator ?? "").keyCreate(
    { name: "owner", tenant, scopes: [...scopes] },
    { idempotencyKey: request, signal: live.signal },
  );
  await secrets.keepAdmin({ request, key: made.key });
}

export async function carryOut(
  step: Step,
  wanted: Wanted,
  there: There,
  hands: Hands,
): Promise<There> {
  const { account, wrangler, secrets } = hands;
  switch (step.kind) {
    case "subdomain":
      await account.registerSubdomain(step.name);
      return { ...there, subdomain: step.name };
    case "database": {
      const id = await account.makeDatabase(step.name);
      return { ...there, database: await readDatabase(account, id) };
    }
    case "namespace": {
      const id = await account.makeNamespace(step.title);
      return { ...there, namespaces: { ...there.namespaces, [step.title]: id } };
    }
    case "bucket":
      await account.makeBucket(step.name);
      return { ...there, buckets: [...there.buckets, step.name] };
    case "queue":
      await account.makeQueue(step.name);
      return { ...there, queues: [...there.queues, { name: step.name, consumers: [] }] };
    case "index": {
      const { kind: _kind, ...index } = step;
      await account.makeIndex(index);
      return { ...there, indexes: [...there.indexes, index] };
    }
    case "migrate":
      await writeConfig(wanted, there, hands);
      await wrangler.migrate(hands.configFile, wanted.names.database);
      break;
    case "deploy": {
      await writeConfig(wanted, there, hands);
      await secrets.lend(step.secrets, (file) => wrangler.deploy(hands.configFile, file));
      const [worker, queues] = [
        await readWorker(account, wanted.names.worker),
        await account.queues(),
      ];
      if (worker === undefined) {
        throw new DeployError(
          "wrangler is done, and the account has no such Worker.",
          "Run the same command again.",
        );
      }
      return { ...there, worker, queues };
    }
    case "domain":
      await account.attach(step.host, wanted.names.worker);
      return { ...there, domainOf: wanted.names.worker };
    case "admin-key":
      await makeAdminKey(step.tenant, hands);
      break;
  }
  const { id } = needed(there.database, "the database");
  return { ...there, database: await readDatabase(account, id) };
}
