// The state folder of a local stack: its development secrets, and a lock so that no two stacks share it.
// The lock names every process of the run, so that a run that was killed can be cleaned up after.
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { endProcess, identify, isRunning } from "./processes.ts";

const identitySchema = z.strictObject({ pid: z.int(), name: z.string(), started: z.string() });
const lockSchema = z.strictObject({
  owner: identitySchema,
  url: z.string().optional(),
  children: z.array(identitySchema),
});
type Lock = z.infer<typeof lockSchema>;

const secretsSchema = z.strictObject({
  api_key: z.string(),
  node_keys: z.array(z.strictObject({ id: z.string(), secret: z.string() })).min(1),
});
export type DevSecrets = z.infer<typeof secretsSchema>;

/** A state folder that cannot be used; the message says why and what to do. */
export class StateError extends Error {}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as unknown;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function writeWhole(file: string, value: unknown): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  await rename(temporary, file);
}

/** The stack that runs on this folder now, if there is one that has come up. */
export async function runningStack(
  stateDir: string,
): Promise<{ readonly url: string; readonly apiKey: string } | undefined> {
  const lock = lockSchema.safeParse(await readJson(path.join(stateDir, "lock.json"))).data;
  const secrets = secretsSchema.safeParse(await readJson(path.join(stateDir, "dev.json"))).data;
  if (lock?.url === undefined || secrets === undefined || !isRunning(lock.owner)) return undefined;
  return { url: lock.url, apiKey: secrets.api_key };
}

export interface StateLock {
  /** Writes down where the stack answers and which processes belong to it. */
  record(
    url: string | undefined,
    children: readonly { readonly pid: number; readonly name: string }[],
  ): Promise<void>;
  release(): Promise<void>;
}

/**
 * Takes the folder for this process. A lock whose owner is gone is taken over, and what the dead run
 * left running is ended first. Throws StateError when another run holds it.
 */
export async function lockState(stateDir: string, say: (line: string) => void): Promise<StateLock> {
  await mkdir(stateDir, { recursive: true });
  const file = path.join(stateDir, "lock.json");
  const owner = identify(process.pid, "npm start");
  if (owner === undefined) throw new StateError("this process cannot read its own start time");

  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(file, `${JSON.stringify({ owner, children: [] } satisfies Lock)}\n`, {
        flag: "wx",
      });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt > 3) throw error;
    }
    const lock = lockSchema.safeParse(await readJson(file)).data;
    if (lock !== undefined && isRunning(lock.owner)) {
      throw new StateError(
        `A stack already runs on ${stateDir} (pid ${lock.owner.pid}${lock.url === undefined ? "" : `, ${lock.url}`}). ` +
          "Use that one, stop it with Ctrl-C in its terminal, or give this one its own folder with --state DIR.",
      );
    }
    for (const child of lock?.children ?? []) {
      if (!isRunning(child)) continue;
      say(
        `An earlier run was killed and left its ${child.name} running (pid ${child.pid}); ending it.`,
      );
      await endProcess(child);
    }
    await rm(file, { force: true });
  }

  // One write after the other, and none after the release.
  let writing: Promise<void> = Promise.resolve();
  let released = false;
  return {
    record(url, children) {
      const known = children
        .map(({ pid, name }) => identify(pid, name))
        .filter((child) => child !== undefined);
      const before = writing;
      const write = async () => {
        await before.catch(() => {});
        if (!released) await writeWhole(file, { owner, url, children: known } satisfies Lock);
      };
      writing = write();
      return writing;
    },
    async release() {
      released = true;
      await writing.catch(() => {});
      await rm(file, { force: true });
    },
  };
}

/** Reads the development secrets of the folder, making them on the first start. */
export async function devSecrets(
  stateDir: string,
  newApiKey: () => Promise<string>,
): Promise<DevSecrets> {
  const file = path.join(stateDir, "dev.json");
  const known = secretsSchema.safeParse(await readJson(file)).data;
  if (known !== undefined) return known;
  const made: DevSecrets = {
    api_key: await newApiKey(),
    node_keys: [{ id: "dev-1", secret: randomBytes(32).toString("base64url") }],
  };
  await writeWhole(file, made);
  await chmod(file, 0o600);
  return made;
}
