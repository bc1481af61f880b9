// What `serve` and `join` have in common: a node from its settings, until it is told to end. One JSON line on standard
// output says that it is ready and where; SIGHUP has it open its artifacts again.
import type { SigningKeys } from "@blip2-edge/shared/wire/signature";
import type { NodeConfig } from "../config.ts";
import { startNode, type NodeSettings } from "../http/start-node.ts";
import type { Log } from "../observe/log.ts";
import { engineThreads } from "../runtime/cores-allowed.ts";
import type { CliIo } from "./io.ts";

export interface ServeIo extends CliIo {
  /** The environment's BLIP2_NODE_KEYS. */
  readonly nodeKeys: string | undefined;
  readonly pid: number;
  readonly rssBytes: () => number;
  /** Has `listener` called at every SIGHUP, which otherwise ends the process. */
  onHangup(listener: () => void): void;
}

export interface NodeRun {
  readonly config: NodeConfig;
  readonly keys: SigningKeys;
  /** Told at every SIGHUP as well. */
  readonly onHangup?: () => void;
  /** How it is reached, and who hears what the edge answers, of a node that announces itself. */
  readonly announcing?: Pick<NonNullable<NodeSettings["announce"]>, "reach" | "onTold">;
  /** Aborted when it is to end. */
  readonly signal: AbortSignal;
  readonly log: Log;
}

const otlpVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

/** The collector that the environment names; OpenTelemetry takes an empty variable for one that is not set. */
export const collectorOf = ({ env }: Pick<CliIo, "env">): { readonly "otlp-endpoint"?: string } => {
  const endpoint = env?.[otlpVariable];
  return endpoint === undefined || endpoint === "" ? {} : { "otlp-endpoint": endpoint };
};

/** Resolves once the node has ended in order. Errors: AppError, for the entry to print. */
export async function runNode(run: NodeRun, io: ServeIo): Promise<void> {
  const { config, keys, onHangup, announcing, signal, log } = run;
  const node = await startNode(
    {
      host: config.host,
      port: config.port,
      keys,
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
              ...announcing,
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
    signal,
  );
  // The log says how it went; a change that fails changes nothing.
  io.onHangup(() => {
    onHangup?.();
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
  if (!signal.aborted) {
    await new Promise((resolve) => {
      signal.addEventListener("abort", resolve, { once: true });
    });
  }
  await node.stop();
}
