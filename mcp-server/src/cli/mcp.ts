// `blip2-edge mcp`: the tools over stdio, for hosts on this machine. The pictures' words come from a Worker;
// local files are sent to it only from allowed folders (local-files.ts). Standard output is the protocol's.
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { ServerContext } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { AskLink } from "../follow.ts";
import { createServer } from "../server.ts";
import type { OpenFile } from "../tools/image-argument.ts";
import { clientOf, commonHelp, parseFlags, placeOf, usageError } from "./flags.ts";
import type { CliIo } from "./io.ts";
import { readLocalPicture, realFolders } from "./local-files.ts";

const usage = "blip2-edge mcp [--allow FOLDER]... [--url URL] [--key KEY]";
export const mcpHelp = `${usage}

Serves tools for agents (MCP) on standard input and output; a host starts it. docs/mcp.md has the settings of the
usual hosts.

  --allow FOLDER  pictures inside it may be read, besides those in the folders that the host names as its roots
${commonHelp}`;

/** Ends when the host closes standard input or the user wants out. Errors: `usage`. */
export async function mcp(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseFlags(
    args,
    { allow: { type: "string", multiple: true, default: [] } },
    usage,
  );
  if (positionals.length > 0) throw usageError("The folders go behind --allow", usage);
  const client = clientOf(values, io, usage);
  const allowed = await realFolders(values.allow);
  if (allowed.length < values.allow.length) {
    throw usageError("A folder behind --allow does not exist", usage);
  }
  const openFile =
    (context: ServerContext): OpenFile =>
    async (name) =>
      readLocalPicture(name, [...allowed, ...(await rootsOf(context))]);
  const api = new URL(placeOf(values, io, usage).url);
  // Whatever host a link names: nothing but the API is asked.
  const askLink: AskLink = ({ pathname }, signal) =>
    fetch(new URL(`${api.pathname.replace(/\/+$/, "")}${pathname}`, api.origin), { signal });
  const served = serveStdio(() => createServer({ client, openFile, askLink }), {
    onerror: (error) => io.stderr(`blip2-edge mcp: ${error.message}`),
  });
  const ended = Promise.withResolvers<void>();
  process.stdin.once("end", ended.resolve);
  process.stdin.once("close", ended.resolve);
  io.signal.addEventListener("abort", () => ended.resolve(), { once: true });
  await ended.promise;
  await served.close();
  return 0;
}

/** What the host names as its roots, where it and its revision of the protocol can be asked. */
async function rootsOf({ mcpReq: { send } }: ServerContext): Promise<string[]> {
  try {
    const { roots } = await send({ method: "roots/list" }, { timeout: rootsTimeoutMs });
    return await realFolders(roots.flatMap(({ uri }) => pathOf(uri)));
  } catch {
    return [];
  }
}
const rootsTimeoutMs = 5000;

function pathOf(uri: string): string[] {
  try {
    return [fileURLToPath(uri)];
  } catch {
    return [];
  }
}
