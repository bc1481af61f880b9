// The command line of `npm start`. Parsing only: it touches nothing and knows no process.
import path from "node:path";
import { parseArgs } from "node:util";

export interface StartOptions {
  readonly port: number;
  readonly stateDir: string;
  readonly readyFile: string | undefined;
  /** Private origins, `host:port`, that the Worker may fetch pictures from. */
  readonly allowFetch: readonly string[];
  /** Pictures to caption; with any, the command prints their captions and exits. */
  readonly pictures: readonly string[];
}

/** Wrong usage; the message is for the person who typed it. */
export class UsageError extends Error {}

export const usage = `Usage: npm start -- [options] [PICTURE ...]

Brings up a node and the Worker on loopback, captions a picture that ships with the project through
the Worker, and stays up until Ctrl-C. With PICTURE it captions those files and exits.

  --port N            port of the Worker (default 8787)
  --state DIR         where state is kept (default .blip2 in the repository)
  --ready-file FILE   write {"url","api_key","node_url","pids"} there once the first caption went through
  --allow-fetch HOST:PORT   let the Worker fetch pictures from this private origin (repeatable)
  --help              this text

  BLIP2_API_KEY       use this development key instead of the one kept in the state folder`;

/** Parses the arguments; relative paths are resolved against `cwd`. Throws UsageError. */
export function parseStartOptions(
  args: readonly string[],
  where: { readonly cwd: string; readonly root: string },
): StartOptions | "help" {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        port: { type: "string", default: "8787" },
        state: { type: "string" },
        "ready-file": { type: "string" },
        "allow-fetch": { type: "string", multiple: true, default: [] },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  if (values.help) return "help";
  if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65_535) {
    throw new UsageError(`--port takes a number from 0 to 65535, not ${values.port}`);
  }
  for (const origin of values["allow-fetch"]) {
    const port = /^(?:\[[0-9a-fA-F:.]+\]|[^\s:/[\]@]+):(\d{1,5})$/.exec(origin)?.[1];
    if (port === undefined || Number(port) < 1 || Number(port) > 65_535) {
      throw new UsageError(`--allow-fetch takes HOST:PORT, not ${origin}`);
    }
  }
  const absolute = (file: string) => path.resolve(where.cwd, file);
  return {
    port: Number(values.port),
    stateDir: values.state === undefined ? path.join(where.root, ".blip2") : absolute(values.state),
    readyFile: values["ready-file"] === undefined ? undefined : absolute(values["ready-file"]),
    allowFetch: values["allow-fetch"],
    pictures: positionals.map(absolute),
  };
}
