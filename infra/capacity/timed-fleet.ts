// Timed nodes behind the edge's own asking of nodes: its choice, its budgets, its beliefs about held pictures, one of each
// for every isolate. What travels between them is the protocol's JSON and frames, through the node's own routes; signatures
// and HTTP are left out, and so is whatever a network does but take its time.
import { nodeAsker, type AskNode } from "../../edge/src/nodes/ask.ts";
import type { Exchange } from "../../edge/src/nodes/exchange.ts";
import { createFleet } from "../../edge/src/nodes/fleet.ts";
import { heldImages } from "../../edge/src/nodes/held-images.ts";
import type { FleetPolicy } from "../../edge/src/nodes/policy.ts";
import { embed } from "../../gpu-node/src/http/embed-route.ts";
import { infer } from "../../gpu-node/src/http/infer-route.ts";
import type { Answered, JobCall } from "../../gpu-node/src/http/job-route.ts";
import { match } from "../../gpu-node/src/http/match-route.ts";
import { createTimedNode, type TimedNode, type TimedNodeOptions } from "./timed-node.ts";

export interface TimedFleetOptions extends TimedNodeOptions {
  readonly nodes: number;
  readonly isolates: number;
  /** From the edge to a node, and as long back. */
  readonly toNodeMs: number;
  readonly random: () => number;
  readonly policy?: Partial<FleetPolicy>;
  readonly queueMs?: number;
}

export interface TimedFleet {
  readonly nodes: readonly TimedNode[];
  /** Of each isolate. */
  readonly askers: readonly AskNode[];
  /** Calls that were sent to nodes. */
  readonly calls: number;
  warmUp(): Promise<void>;
  stop(): void;
}

const routes: Readonly<Record<string, (call: JobCall) => Promise<Answered>>> = {
  "/v1/infer": infer,
  "/v1/match": match,
  "/v1/embed": embed,
};

export function createTimedFleet(options: TimedFleetOptions): TimedFleet {
  const { clock, toNodeMs, random, policy, queueMs = 2000 } = options;
  const nodes = new Map(
    Array.from({ length: options.nodes }, (_, at) => [
      `http://node-${at + 1}`,
      createTimedNode(options),
    ]),
  );
  let calls = 0;

  const exchangeWith =
    ({ url }: { readonly url: string }): Exchange =>
    async ({ path, body = new Uint8Array(), contentType = "" }, signal) => {
      const [node, route] = [nodes.get(url), routes[path]];
      if (node === undefined || route === undefined) throw new Error(`no ${path} at ${url}`);
      calls += 1;
      await clock.sleep(toNodeMs);
      try {
        const rooms = {
          models: () => node.models,
          holds: (job: Parameters<TimedNode["holds"]>[0]) => node.holds(job),
          dispatcher: node.dispatcher,
        };
        return (await route({ rooms, body, contentType, gone: signal })).response;
      } finally {
        await clock.sleep(toNodeMs);
      }
    };

  const askers = Array.from({ length: options.isolates }, () => {
    const fleet = createFleet(policy);
    fleet.setNodes(
      [...nodes].map(([url, { models }]) => ({ url, weight: 1, models: [...models] })),
      clock.now(),
    );
    return nodeAsker({
      ...{ fleet, exchangeWith, clock, random },
      held: heldImages({ now: () => clock.now() }),
      ...{ retryWaitMs: 100, queueMs },
    });
  });

  return {
    nodes: [...nodes.values()],
    askers,
    get calls() {
      return calls;
    },
    warmUp: async () => void (await Promise.all([...nodes.values()].map((node) => node.warmUp()))),
    stop: () => [...nodes.values()].forEach((node) => node.stop()),
  };
}
