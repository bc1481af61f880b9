// The secrets of an environment as this machine holds them: a file that only its owner can read. What the Worker has
// already is never made anew, and what is made is written down before anybody gets it, so that a run that is broken off
// leaves nothing that nobody knows.
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { formatSigningKeys } from "../start/signing-keys.ts";
import { DeployError } from "./deploy-error.ts";
import type { HeldSecrets } from "./refusals.ts";

const secretsSchema = z.strictObject({
  PARTITION_SECRET: z.string().min(32).optional(),
  LINK_SECRETS: z.string().min(32).optional(),
  OPERATOR_KEYS: z.string().optional(),
  /** Secret by the id of the key. */
  NODE_KEYS: z.record(z.string(), z.string().min(32)).default({}),
  /** The first admin key; `request` is the Idempotency-Key with which it is asked for. */
  admin: z.strictObject({ request: z.string(), key: z.string().optional() }).optional(),
});
type Secrets = z.infer<typeof secretsSchema>;
type SecretName = "PARTITION_SECRET" | "LINK_SECRETS" | "OPERATOR_KEYS";

export interface SecretStore {
  readonly file: string;
  held(): HeldSecrets;
  get(): Secrets;
  /** Makes those of `names` that are not here, and keys for the nodes. */
  make(names: readonly string[], nodeIds: readonly string[]): Promise<void>;
  /** The values of these secrets of the Worker. */
  values(names: readonly string[]): Record<string, string>;
  keepAdmin(admin: NonNullable<Secrets["admin"]>): Promise<void>;
  /** A file with these secrets for as long as `work` takes; none where there are none. */
  lend<T>(names: readonly string[], work: (file?: string) => Promise<T>): Promise<T>;
  /** For a box: a file with the one line that its node wants as `--keys-file`. */
  nodeKeysFile(id: string): Promise<string | undefined>;
}

type Random = (bytes: number) => Buffer;

const made: Readonly<Record<SecretName, (random: Random) => string>> = {
  PARTITION_SECRET: (random) => random(32).toString("base64url"),
  LINK_SECRETS: (random) => random(32).toString("base64url"),
  OPERATOR_KEYS: (random) => `b2e_operator_${random(24).toString("hex")}`,
};

async function readSecrets(file: string): Promise<Secrets> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return secretsSchema.parse({});
    throw error;
  }
  try {
    return secretsSchema.parse(JSON.parse(text));
  } catch {
    // Without the cause: it could repeat a secret.
    throw new DeployError(
      `${file} cannot be understood.`,
      "Correct it; its keys are those of docs/deploy.md.",
    );
  }
}

/** The secrets in `folder`. Throws DeployError. */
export async function openSecrets(
  folder: string,
  random: Random = randomBytes,
): Promise<SecretStore> {
  const file = path.join(folder, "secrets.json");
  let secrets = await readSecrets(file);

  const writeWhole = async (name: string, text: string): Promise<void> => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
    await writeFile(`${name}.tmp`, text, { mode: 0o600 });
    await rename(`${name}.tmp`, name);
  };
  const keep = async (next: Secrets): Promise<void> => {
    await writeWhole(file, `${JSON.stringify(next, null, 2)}\n`);
    secrets = next;
  };
  const nodeKeys = () =>
    formatSigningKeys(Object.entries(secrets.NODE_KEYS).map(([id, secret]) => ({ id, secret })));
  const valueOf = (name: string): string => {
    const value = name === "NODE_KEYS" ? nodeKeys() : secrets[name as SecretName];
    if (value === undefined || value === "") throw new Error(`there is no secret ${name}`);
    return value;
  };
  const values = (names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, valueOf(name)]));

  return {
    file,
    get: () => secrets,
    held: () => ({
      names: Object.keys(made).filter((name) => secrets[name as SecretName] !== undefined),
      nodeIds: Object.keys(secrets.NODE_KEYS),
      adminAsked: secrets.admin !== undefined && secrets.admin.key === undefined,
      file,
    }),
    async make(names, nodeIds) {
      const next = { ...secrets, NODE_KEYS: { ...secrets.NODE_KEYS } };
      for (const name of Object.keys(made) as SecretName[]) {
        if (names.includes(name)) next[name] ??= made[name](random);
      }
      for (const id of names.includes("NODE_KEYS") ? nodeIds : []) {
        next.NODE_KEYS[id] ??= random(24).toString("hex");
      }
      if (JSON.stringify(next) !== JSON.stringify(secrets)) await keep(next);
    },
    values,
    keepAdmin: (admin) => keep({ ...secrets, admin }),
    async lend(names, work) {
      if (names.length === 0) return work();
      const lent = path.join(folder, `lent-${process.pid}.json`);
      await writeWhole(lent, JSON.stringify(values(names)));
      try {
        return await work(lent);
      } finally {
        await rm(lent, { force: true });
      }
    },
    async nodeKeysFile(id) {
      const secret = secrets.NODE_KEYS[id];
      if (secret === undefined) return undefined;
      const keysFile = path.join(folder, `node-keys-${id}`);
      await writeWhole(keysFile, `${formatSigningKeys([{ id, secret }])}\n`);
      return keysFile;
    },
  };
}
