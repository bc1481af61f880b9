// `blip2 serve --model DIR...`: the node, until it is told to end. One JSON line on standard output says
// that it is ready and where; the log goes to standard error.
import { nodeConfigSchema, parseNodeConfig } from "../config.ts";
import { startNode } from "../http/start-node.ts";
import { watchKeys } from "../http/watch-keys.ts";
import { createLog } from "../observe/log.ts";
import { engineThreads } from "../runtime/cores-allowed.ts";
import type { CliIo } from "./io.ts";
import { parseFlags, usageError } from "./parse-flags.ts";
import { readKeys } from "./read-keys.ts";

export const serveUsage =
  "blip2 serve --model DIR [--model DIR]... [--host 127.0.0.1] [--port 0] [--threads N] [--provider cpu|webgpu|cuda] [--max-queue-seconds N] [--max-queue N] [--feature-store-mb N] [--drain-seconds N] [--announce URL] [--announce-as URL] [--announce-weight N] [--otlp-endpoint URL] [--trace-sample-ratio R] [--keys-file FILE]";

const otlpVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";
const { keys: _keys, model: _model, ...settings } = nodeConfigSchema.shape;

/** One line per setting, from the schema itself. */
export const serveHelp = (): string =>
  Object.entries(nodeConfigSchema.shape)
    .map(([name, schema]) => {
      const flag = name === "keys" ? "BLIP2_NODE_KEYS" : `--${name}`;
      return `  ${flag.padEnd(20)} ${schema.description ?? ""}`;
    })
    .join("\n");

export interface ServeIo extends CliIo {
  /** The environment's BLIP2_NODE_KEYS. */
  readonly nodeKeys: string | undefined;
  readonly pid: number;
  readonly rssBytes: () => number;
  /** Has `listener` called at every SIGHUP, which otherwise ends the process. */
  onHangup(listener: () => void): void;
}

/** Resolves with 0 once the node has ended in order. Errors: AppError, for the entry to print. */
export async function serve(args: readonly string[], io: ServeIo): Promise<number> {
  const { values, positionals } = parseFlags(
    args,
    {
      model: { type: "string", multiple: true },
      "keys-file": { type: "string" },
      ...(Object.fromEntries(
        Object.keys(settings).map((name) => [name, { type: "string" }]),
      ) as Record<keyof typeof settings, { type: "string" }>),
    },
    serveUsage,
  );
  if (positionals.length > 0) {
    throw usageError(`"${positionals[0]}" is no flag; models are given with --model`, serveUsage);
  }
  const { "keys-file": keysFile, ...flags } = values;
  const keys = await readKeys(keysFile, io.nodeKeys);
  // OpenTelemetry takes an empty variable for one that is not set.
  const otlpEndpoint = flags["otlp-endpoint"] ?? (io.env?.[otlpVariable] || undefined);
  const config = parseNodeConfig({
    ...flags,
    ...(otlpEndpoint === undefined ? {} : { "otlp-endpoint": otlpEndpoint }),
    ...(keys === undefined ? {} : { keys }),
  });
  const log = createLog(io.stderr);
  const watched =
    keysFile === undefined ? undefined : watchKeys({ file: keysFile, keys: config.keys, log });
  const node = await startNode(
    {
      host: config.host,
      port: config.port,
      keys: watched?.keys ?? config.keys,
      maxQueueMs: config["max-queue-seconds"] * 1000,
      maxJobs: config["max-queue"],
      drainMs: config["drain-seconds"] * 1000,
      rssBytes: io.rssBytes,
      ...(config.announce === undefined
        ? {}
        : {
            announce: {
              edgeUrl: config.announce,
              as: config["announce-as"],
              weight: config["announce-weight"],
            },
          }),
      ...(config["otlp-endpoint"] === undefined
        ? {}
        : {
            tracing: {
              endpoint: config["otlp-endpoint"],
              sampleRatio: config["trace-sample-ratio"],
            },
          }),
      engine: {
        modelDirs: config.model,
        threads: await engineThreads(config.threads),
        provider: config.provider,
        featureStoreMaxBytes: config["feature-store-mb"] * 1024 * 1024,
      },
    },
    log,
    io.signal,
  );
  // The log says how it went; a change that fails changes nothing.
  io.onHangup(() => {
    void watched?.look();
    void node.reload().catch(() => {});
  });
  io.stdout(
    JSON.stringify({
      event: "listening",
      url: node.url,
      pid: io.pid,
      engine_pids: node.enginePids(),
    }),
  );
  if (!io.signal.aborted) {
    await new Promise((resolve) => {
      io.signal.addEventListener("abort", resolve, { once: true });
    });
  }
  await node.stop();
  watched?.stop();
  return 0;
}
