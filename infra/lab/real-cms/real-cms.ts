// What the lab needs of a real CMS: started on loopback with a database of its own, asked over its own API.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
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
