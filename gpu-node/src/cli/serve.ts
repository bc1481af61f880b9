// `blip2 serve --model DIR...`: the node, until it is told to end. One JSON line on standard output says
// that it is ready and where; the log goes to standard error.
import { nodeConfigSchema, parseNodeConfig } from "../config.ts";
import { watchKeys } from "../http/watch-keys.ts";
import { createLog } from "../observe/log.ts";
import { parseFlags, usageError } from "./parse-flags.ts";
import { readKeys, readKeysFile } from "./read-keys.ts";
import { collectorOf, runNode, type ServeIo } from "./run-node.ts";

export const serveUsage =
  "blip2 serve --model DIR [--model DIR]... [--host 127.0.0.1] [--port 0] [--threads N] [--provider cpu|webgpu|cuda] [--max-queue-seconds N] [--max-queue N] [--feature-store-mb N] [--drain-seconds N] [--announce URL] [--announce-as URL] [--announce-weight N] [--otlp-endpoint URL] [--trace-sample-ratio R] [--keys-file FILE]";

const { keys: _keys, model: _model, ...settings } = nodeConfigSchema.shape;

/** Flags of settings, all but `model` given once. */
export const settingFlags = {
  model: { type: "string", multiple: true },
  ...(Object.fromEntries(Object.keys(settings).map((name) => [name, { type: "string" }])) as Record<
    keyof typeof settings,
    { type: "string" }
  >),
} as const;

/** One line per setting, from the schema itself. */
export const settingHelp = (without: readonly string[] = []): string =>
  Object.entries(nodeConfigSchema.shape)
    .filter(([name]) => !without.includes(name))
    .map(([name, schema]) => {
      const flag = name === "keys" ? "BLIP2_NODE_KEYS" : `--${name}`;
      return `  ${flag.padEnd(20)} ${schema.description ?? ""}`;
    })
    .join("\n");

/** Resolves with 0 once the node has ended in order. Errors: AppError, for the entry to print. */
export async function serve(args: readonly string[], io: ServeIo): Promise<number> {
  const { values, positionals } = parseFlags(
    args,
    { ...settingFlags, "keys-file": { type: "string" } },
    serveUsage,
  );
  if (positionals.length > 0) {
    throw usageError(`"${positionals[0]}" is no flag; models are given with --model`, serveUsage);
  }
  const { "keys-file": keysFile, ...flags } = values;
  const keys = await readKeys(keysFile, io.nodeKeys);
  const config = parseNodeConfig({
    ...collectorOf(io),
    ...flags,
    ...(keys === undefined ? {} : { keys }),
  });
  const log = createLog(io.stderr);
  const watched =
    keysFile === undefined
      ? undefined
      : watchKeys({ read: () => readKeysFile(keysFile), keys: config.keys, log });
  const run = { config, keys: watched?.keys ?? config.keys, signal: io.signal, log };
  await runNode(watched === undefined ? run : { ...run, onHangup: () => void watched.look() }, io);
  watched?.stop();
  return 0;
}
