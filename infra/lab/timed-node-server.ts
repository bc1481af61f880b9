// A timed node (infra/capacity) behind the node's own door: it answers over HTTP, signed as ever, after as long as its
// profile says, and takes hardly any CPU. So several of them on one machine are as fast as several machines.
import { createVerifier, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { realClock } from "../../edge/src/nodes/clock.ts";
import { createDoor } from "../../gpu-node/src/http/app.ts";
import { listen } from "../../gpu-node/src/http/listen.ts";
import { createLog } from "../../gpu-node/src/observe/log.ts";
import { createMetrics } from "../../gpu-node/src/observe/metrics.ts";
import { createTimedNode, type TimedNodeOptions } from "../capacity/timed-node.ts";

export const labKey = { id: "lab", secret: "a-secret-of-the-lab-that-is-long-enough" } as const;

export interface TimedNodeServer {
  readonly url: string;
  readonly visionPasses: number;
  stop(): Promise<void>;
}

export async function startTimedNode(
  options: Omit<TimedNodeOptions, "clock">,
): Promise<TimedNodeServer> {
  const node = createTimedNode({ ...options, clock: realClock });
  await node.warmUp();
  const door = createDoor({
    engine: {
      state: "ready",
      models: node.models,
      holds: (job) => node.holds(job),
      retryAfterS: () => 1,
      reload: () => Promise.resolve(node.models),
    },
    dispatcher: node.dispatcher,
    verifier: createVerifier({ keys: parseSigningKeys(`${labKey.id}:${labKey.secret}`) }),
    metrics: createMetrics({
      load: () => node.dispatcher.load(),
      jobsRunning: () => node.dispatcher.running,
      featureStoreBytes: () => 0,
      engineRestarts: () => 0,
      engineReady: () => true,
      nodeReady: () => true,
      models: () => node.models,
      doorRssBytes: () => 0,
      doorLoopLag: () => ({ p50Ms: 0, p99Ms: 0, maxMs: 0 }),
    }),
    log: createLog(() => {}),
  });
  const { url, close } = await listen({
    ...{ host: "127.0.0.1", port: 0 },
    fetch: (request) => door.fetch(request),
  });
  return {
    url,
    get visionPasses() {
      return node.visionPasses;
    },
    async stop() {
      node.stop();
      await close(AbortSignal.timeout(1000));
    },
  };
}
