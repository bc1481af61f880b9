// Flags of a command by node:util's parseArgs, with faults as the problem `usage`, and the flags that every
// command has: where the Worker is, with which key, and whether a program reads along.
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { createClient, type Client, type ClientOptions } from "@blip2-edge/shared/client";
import { mcpPath } from "@blip2-edge/shared/contracts/mcp";
import { AppError } from "@blip2-edge/shared/problem";
import type { CliIo } from "./io.ts";

export const usageError = (why: string, usage: string): AppError =>
  new AppError("usage", `${why.replace(/\.$/, "")}.\nUsage: ${usage}`);

const commonFlags = {
  url: { type: "string" },
  key: { type: "string" },
  timeout: { type: "string" },
  json: { type: "boolean", default: false },
} as const satisfies ParseArgsOptionsConfig;

export const commonHelp = `  --url URL    the Worker; default BLIP2_URL, else http://127.0.0.1:8787
  --key KEY    an API key; default BLIP2_API_KEY, which other users of the machine do not see
  --timeout S  seconds for one call, its retries too; default: as long as it takes
  --json       one JSON object a line on standard output, and nothing else`;

/** Errors: `usage` for an unknown flag or a value where none belongs. */
export function parseFlags<const Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
  usage: string,
) {
  try {
    return parseArgs({
      args: [...args],
      options: { ...options, ...commonFlags },
      allowPositionals: true,
    });
  } catch (cause) {
    // The first sentence names the flag; what follows is advice about positionals.
    const message = cause instanceof Error ? cause.message : String(cause);
    throw usageError(message.split(". ")[0] ?? message, usage);
  }
}

interface PlaceFlags {
  readonly url?: string | undefined;
  readonly key?: string | undefined;
}

/** Where the Worker is, and with which key, as the flags or the environment say. Errors: `usage`. */
export function placeOf(
  flags: PlaceFlags,
  { env }: CliIo,
  usage: string,
): { readonly url: string; readonly key: string } {
  const url = flags.url ?? env["BLIP2_URL"] ?? "http://127.0.0.1:8787";
  const key = flags.key ?? env["BLIP2_API_KEY"];
  if (key === undefined || !/^\S{1,256}$/.test(key)) {
    throw usageError("Give an API key with --key or BLIP2_API_KEY", usage);
  }
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw usageError("--url must be an http or https address", usage);
  }
  if (new URL(url).pathname.endsWith(mcpPath)) {
    throw usageError(`Give the Worker's address without ${mcpPath}, which is for agents`, usage);
  }
  return { url, key };
}

/** A client for that Worker. Errors: `usage`. */
export function clientOf(
  flags: PlaceFlags & { readonly timeout?: string | undefined },
  io: CliIo,
  usage: string,
  more: Partial<ClientOptions> = {},
): Client {
  const { fetch } = io;
  const timeoutS = countOf("--timeout", flags.timeout, usage);
  return createClient({
    ...placeOf(flags, io, usage),
    ...(fetch === undefined ? {} : { fetch }),
    ...(timeoutS === undefined ? {} : { timeoutMs: timeoutS * 1000 }),
    ...more,
  });
}

/** A whole number of at least 0. Errors: `usage`. */
export function countOf(flag: string, text: string | undefined, usage: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw usageError(`${flag} must be a whole number`, usage);
}

/** So many ids and nothing else. Errors: `usage`. */
export function ids(
  positionals: readonly string[],
  count: number,
  usage: string,
): readonly string[] {
  if (positionals.length === count) return positionals;
  throw usageError(count === 1 ? "Give one id" : `Give ${count} ids`, usage);
}

/** What the contract says against flags is wrong usage. */
export function orUsage<Result>(usage: string, parse: () => Result): Result {
  try {
    return parse();
  } catch (error) {
    if (error instanceof AppError && error.code !== "usage") throw usageError(error.detail, usage);
    throw error;
  }
}

export type Command = (args: readonly string[], io: CliIo) => Promise<number>;

/** Runs the action that the first argument names. Errors: `usage`, those of the action. */
export function runAction(
  command: string,
  actions: Readonly<Record<string, Command>>,
  [name = "", ...rest]: readonly string[],
  io: CliIo,
  usage: string,
): Promise<number> {
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (name === "") throw usageError("Say what to do", usage);
  if (action === undefined) throw usageError(`There is no "${command} ${name}"`, usage);
  return action(rest, io);
}
