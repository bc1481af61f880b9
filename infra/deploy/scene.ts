// What every command of a deployment works with: what is wanted, the account, the secrets of this machine, wrangler, and the
// Worker where it answers. Everything foreign is an argument.
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { cloudflareAccount, type CloudflareAccount } from "./cloudflare.ts";
import { DeployError } from "./deploy-error.ts";
import { readEnvironment, withOptions, type Environment } from "./environment.ts";
import type { DeployOptions } from "./options.ts";
import { openSecrets, type SecretStore } from "./secrets.ts";
import { smoke, type Live, type SmokeLine } from "./smoke.ts";
import { readSourceConfig } from "./source-config.ts";
import { wantedOf, type Wanted } from "./wanted.ts";
import { wranglerIn, type Wrangler } from "./wrangler.ts";

export interface DeployIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly fetch: typeof globalThis.fetch;
  readonly sleep: (ms: number) => Promise<unknown>;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  /** Undefined where nobody can be asked. */
  readonly confirm: ((question: string) => Promise<boolean>) | undefined;
  /** Whether a person reads what is said: then he is shown the admin key once. */
  readonly shown: boolean;
  /** Of the repository. */
  readonly root: string;
  /** Environments as they are said: edge/environments. */
  readonly environments: string;
  /** Secrets of environments, each in a folder of its name. */
  readonly state: string;
  /** Where the configuration with real ids is written, for an environment. */
  readonly configFile: (environment: string) => string;
  /** A digest of what goes into the Worker's bundle. */
  readonly sources: () => Promise<string>;
  /** Instead of wrangler itself. */
  readonly wrangler?: Wrangler;
}

const sampleFolder = "gpu-node/nano/samples";

export async function wantedBy(
  options: DeployOptions,
  said: Environment,
  io: DeployIo,
): Promise<Wanted> {
  const source = await readFile(path.join(io.root, "edge/wrangler.jsonc"), "utf8");
  const files = await readdir(path.join(io.root, "edge/migrations"));
  return wantedOf({
    source: readSourceConfig(source, said.use),
    environment: options.environment,
    said,
    migrations: files.filter((file) => file.endsWith(".sql")).toSorted(),
    sources: await io.sources(),
    tenant: options.tenant,
    workersDev: options.workersDev,
    adopt: options.adopt,
  });
}

interface Credentials {
  readonly account: string;
  readonly token: string;
  readonly base: string | undefined;
}

function credentialsOf(env: DeployIo["env"]): Credentials {
  const account = env["CLOUDFLARE_ACCOUNT_ID"] ?? "";
  const token = env["CLOUDFLARE_API_TOKEN"] ?? "";
  if (account === "" || token === "") {
    throw new DeployError(
      `${token === "" ? "CLOUDFLARE_API_TOKEN" : "CLOUDFLARE_ACCOUNT_ID"} is not set.`,
      "docs/deploy.md says where both come from. To see what would be done without an account: --dry-run.",
    );
  }
  return { account, token, base: env["CLOUDFLARE_API_BASE_URL"] };
}

async function checkAccount(account: CloudflareAccount, io: DeployIo): Promise<void> {
  const { name, plan: workersPlan } = await account.check();
  io.say(`Account: ${name}; the token is active.`);
  if (workersPlan === "paid") return;
  io.say(
    workersPlan === "free"
      ? "No Workers Paid plan was found; without it the Worker cannot decode pictures, and Cloudflare refuses its CPU limit."
      : "The token does not see the account's plan (permission Billing: Read). The Workers Paid plan is needed.",
  );
}

/** Throws DeployError where the operator does not want it. */
export async function agreed(
  question: string,
  options: DeployOptions,
  io: DeployIo,
): Promise<void> {
  if (options.yes) return;
  if (io.confirm === undefined) {
    throw new DeployError("Nobody can be asked here.", "Say --yes to go on without a question.");
  }
  if (await io.confirm(question)) return;
  throw new DeployError("Nothing was changed.", "Run the same command again when you want it.");
}

async function samplePicture(root: string): Promise<Uint8Array<ArrayBuffer>> {
  const list: unknown = JSON.parse(
    await readFile(path.join(root, sampleFolder, "samples.json"), "utf8"),
  );
  const { samples } = list as { samples: readonly [{ readonly file: string }] };
  return new Uint8Array(await readFile(path.join(root, sampleFolder, samples[0].file)));
}

export const liveAt = (host: string, { fetch, sleep, signal }: DeployIo): Live => ({
  url: `https://${host}`,
  ...{ fetch, sleep, signal },
});

/** Says what the smoke test found; the worst of it. */
export async function tryOut(
  live: Live,
  secrets: SecretStore,
  io: DeployIo,
): Promise<SmokeLine["state"]> {
  const lines = await smoke(live, secrets.get().admin?.key, await samplePicture(io.root));
  for (const { state, check, found } of lines) io.say(`${state.padEnd(5)} ${check}: ${found}`);
  const states = lines.map(({ state }) => state);
  return (["wrong", "waits"] as const).find((state) => states.includes(state)) ?? "ok";
}

export interface Scene {
  readonly said: Environment;
  readonly wanted: Wanted;
  readonly account: CloudflareAccount;
  readonly secrets: SecretStore;
  readonly wrangler: Wrangler;
}

/** Opens what a command works with, and changes nothing. */
export async function openScene(options: DeployOptions, io: DeployIo): Promise<Scene> {
  const credentials = credentialsOf(io.env);
  const said = withOptions(await readEnvironment(io.environments, options.environment), options);
  const wanted = await wantedBy(options, said, io);
  const account = cloudflareAccount({ ...credentials, ...io });
  await checkAccount(account, io);
  const folder = path.join(io.state, options.environment);
  const secrets = await openSecrets(folder);
  const wrangler = io.wrangler ?? wranglerIn({ ...credentials, ...io, logFolder: folder });
  return { said, wanted, account, secrets, wrangler };
}
