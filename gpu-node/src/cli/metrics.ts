// `blip2 metrics --node URL`: the metrics of a node that answers signed requests only. Once to standard
// output, or, with --port, again and again for a Prometheus that stands beside it.
import { parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { nodeConfigSchema } from "../config.ts";
import { listen } from "../http/listen.ts";
import { createMetricsReader } from "../http/metrics-reader.ts";
import { watchKeys } from "../http/watch-keys.ts";
import { createLog } from "../observe/log.ts";
import { readStateKeys } from "./node-state.ts";
import { parseFlags, usageError } from "./parse-flags.ts";
import { readKeysFile } from "./read-keys.ts";
import type { ServeIo } from "./run-node.ts";

export const metricsUsage =
  "blip2 metrics --node URL [--port N] [--host 127.0.0.1] [--keys-file FILE | --state DIR]";

export const metricsHelp = `Signs with the first key of --keys-file or BLIP2_NODE_KEYS, or, of a node that joined, with the one that it keeps.

  --node URL   base address of the node
  --port N     serve GET /metrics there, unsigned, until told to end; 0 takes a free port
  --host HOST  address for --port (127.0.0.1)
  --state DIR  the --state of blip2 join

Who can reach that port can read the metrics: open it to the monitoring alone.`;

/** Resolves with 0 once it is printed, or once it was told to end. Errors: AppError, for the entry to print. */
export async function metrics(args: readonly string[], io: ServeIo): Promise<number> {
  const { values, positionals } = parseFlags(
    args,
    {
      node: { type: "string" },
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string" },
      "keys-file": { type: "string" },
      state: { type: "string" },
    },
    metricsUsage,
  );
  if (positionals.length > 0) throw usageError(`"${positionals[0]}" is no flag`, metricsUsage);
  const { node, host } = values;
  if (node === undefined || !/^https?:$/.test(URL.parse(node)?.protocol ?? "")) {
    throw usageError("--node needs the node's address, http or https", metricsUsage);
  }
  const { "keys-file": file, state } = values;
  if (file !== undefined && state !== undefined) {
    throw usageError("--keys-file and --state exclude one another", metricsUsage);
  }
  const read =
    file !== undefined
      ? () => readKeysFile(file)
      : state !== undefined
        ? () => readStateKeys(state)
        : undefined;
  const keys = (await read?.()) ?? io.nodeKeys;
  if (keys === undefined) {
    throw usageError("give --keys-file or --state, or set BLIP2_NODE_KEYS", metricsUsage);
  }
  const signing = parseSigningKeys(keys);
  if (values.port === undefined) {
    const reader = createMetricsReader({ nodeUrl: node, keys: signing });
    io.stdout((await reader.read()).text.trimEnd());
    return 0;
  }
  const port = nodeConfigSchema.shape.port.safeParse(values.port);
  if (!port.success) throw usageError("--port is no port", metricsUsage);
  const watched =
    read === undefined ? undefined : watchKeys({ read, keys: signing, log: createLog(io.stderr) });
  const reader = createMetricsReader({ nodeUrl: node, keys: watched?.keys ?? signing });
  const listener = await listen({
    host,
    port: port.data,
    fetch: (request) => reader.answer(request),
  });
  io.stdout(JSON.stringify({ event: "listening", url: listener.url, pid: io.pid }));
  if (!io.signal.aborted) {
    await new Promise((resolve) => {
      io.signal.addEventListener("abort", resolve, { once: true });
    });
  }
  await listener.close(AbortSignal.timeout(1000));
  watched?.stop();
  return 0;
}
