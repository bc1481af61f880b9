// cloudflared as a child, for a node that opens its own way to Cloudflare: the tunnel of a token, whose host name
// Cloudflare's dashboard leads to the node's port, or a quick one, whose name is read from what cloudflared says.
// Nothing here starts it again: a node without its tunnel ends, and who supervises it starts both.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { AppError } from "@blip2-edge/shared/problem";
import type { Log } from "../observe/log.ts";

export interface Tunnel {
  /** Of a quick tunnel; undefined: the name that the dashboard has. */
  readonly url: string | undefined;
  /** Resolves when it has ended without having been told to. */
  readonly broken: Promise<AppError>;
  /** Lets it finish what it carries. */
  stop(): Promise<void>;
}

export interface TunnelOptions {
  /** Where the node listens. */
  readonly target: string;
  /** A file with the tunnel's token; a quick tunnel without it. */
  readonly tokenFile?: string | undefined;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly program?: string;
  readonly openMs?: number;
  readonly stopMs?: number;
}

const quickName = /https:\/\/(?!api\.)[a-z0-9-]+\.trycloudflare\.com/;
const connected = "Registered tunnel connection";
const keptLines = 5;

/** Resolves once cloudflared is connected. Errors: `usage` where there is none, `node_unavailable`, the signal's. */
export async function openTunnel(options: TunnelOptions): Promise<Tunnel> {
  const { target, tokenFile, log, signal, program = "cloudflared" } = options;
  const { openMs = 60_000, stopMs = 35_000 } = options;
  const way = tokenFile === undefined ? ["--url", target] : ["run", "--token-file", tokenFile];
  const child = spawn(program, ["tunnel", "--no-autoupdate", "--grace-period", "30s", ...way], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const last: string[] = [];
  const ended = endOf(child, program, last);
  let stopping = false;
  const stop = async (): Promise<void> => {
    stopping = true;
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), stopMs);
    await ended;
    clearTimeout(force);
  };

  let url: string | undefined;
  const open = new Promise<void>((resolve) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      if (last.push(line) > keptLines) last.shift();
      url ??= quickName.exec(line)?.[0];
      if (line.includes(connected) && (tokenFile !== undefined || url !== undefined)) resolve();
    });
  });
  const late = AbortSignal.timeout(openMs);
  const over = AbortSignal.any([signal, late]);
  const aborted = new Promise<"aborted">((resolve) => {
    over.addEventListener("abort", () => resolve("aborted"), { once: true });
    if (over.aborted) resolve("aborted");
  });
  const first = await Promise.race([open, ended, aborted]);
  if (first instanceof AppError) throw first;
  if (first === "aborted") {
    await stop();
    signal.throwIfAborted();
    throw new AppError(
      "node_unavailable",
      `cloudflared is not connected after ${openMs / 1000} s. It said last: ${last.join(" / ")}`,
    );
  }
  log.info("tunnel_open", { as: url });
  const never = new Promise<AppError>(() => {});
  return { url, broken: ended.then((why) => (stopping ? never : why)), stop };
}

/** Resolves with why it has ended. */
function endOf(child: ChildProcess, program: string, last: readonly string[]): Promise<AppError> {
  return new Promise((resolve) => {
    child.once("error", (cause) =>
      resolve(
        new AppError(
          "usage",
          `${program} cannot be started (${(cause as NodeJS.ErrnoException).code ?? cause.message}): install it from https://developers.cloudflare.com/cloudflare-one/networks/connectors/cloudflare-tunnel/downloads/, or leave --tunnel away and say with --url where the Worker reaches this node.`,
          { cause },
        ),
      ),
    );
    child.once("close", (code, name) =>
      resolve(
        new AppError(
          "node_unavailable",
          `cloudflared has ended (${name ?? `status ${code}`}). It said last: ${last.join(" / ")}`,
        ),
      ),
    );
  });
}
