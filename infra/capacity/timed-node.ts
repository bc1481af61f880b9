// A node whose models only take time: the node's own admission, dispatching and engine (gpu-node/src/engine) over them, on
// any clock. What is left out of a real node is the channel between its two processes and the work of the door itself.
import type { AdmissionBounds } from "../../gpu-node/src/engine/admission.ts";
import { createDispatcher, type Dispatcher } from "../../gpu-node/src/engine/dispatcher.ts";
import { createEngine } from "../../gpu-node/src/engine/engine.ts";
import { createFeatureStore } from "../../gpu-node/src/engine/feature-store.ts";
import { type EngineStats, type ImageJob, sourceKeys } from "../../gpu-node/src/engine/messages.ts";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { Clock } from "../../edge/src/nodes/clock.ts";
import type { NodeProfile } from "./node-profile.ts";
import type { TimedModelOptions } from "./timed-batch.ts";
import { createTimedComparer, createTimedWriter } from "./timed-models.ts";

export interface TimedNodeOptions {
  readonly profile: NodeProfile;
  readonly clock: Clock;
  readonly tokensOf: TimedModelOptions["tokensOf"];
  /** Pictures whose features are held. */
  readonly heldPictures?: number;
  readonly vary?: (ms: number) => number;
}

export interface TimedNode {
  readonly models: readonly CatalogModel[];
  readonly dispatcher: Dispatcher;
  holds(job: ImageJob): boolean;
  /** As a node does before it is ready. */
  warmUp(): Promise<void>;
  /** Milliseconds for which something ran. */
  readonly busyMs: number;
  readonly visionPasses: number;
  stop(): void;
}

/** As the engine's process tells the door. */
const reportMs = 250;
/** One number stands for a picture's features. */
const featureBytes = 4;

export function createTimedNode(options: TimedNodeOptions): TimedNode {
  const { profile, clock, tokensOf, heldPictures = 4096, vary = (ms) => ms } = options;
  let busyMs = 0;
  let visionPasses = 0;
  let stats: EngineStats | undefined;
  let cancel = (): void => {};
  const sleep = (ms: number): Promise<void> => {
    const really = vary(ms);
    busyMs += really;
    return clock.sleep(really);
  };
  const timed = { profile, sleep, tokensOf };
  // Of each picture the tower's output as well, since both models look through one tower.
  const store = createFeatureStore(heldPictures * 3 * featureBytes);
  const engine = createEngine([createTimedWriter(timed), createTimedComparer(timed)], store, {
    now: () => clock.now(),
  });
  const bounds: AdmissionBounds = {
    maxQueueMs: profile.max_queue_seconds * 1000,
    maxJobs: profile.max_queue,
  };
  const holds = (job: ImageJob): boolean =>
    sourceKeys(job, engine.visionKeys[job.modelRevision] ?? "").some((key) => store.has(key));
  const dispatcher = createDispatcher({
    ...bounds,
    now: () => clock.now(),
    engine: {
      state: "ready",
      get stats() {
        return stats;
      },
      holds,
      retryAfterS: () => 1,
      run(job, signal, onText) {
        keepReporting();
        return engine.run(job, signal, {
          onStore: () => {},
          onVisionPass: () => void (visionPasses += 1),
          ...(onText === undefined ? {} : { onText }),
        });
      },
    },
  });
  /** While there is something to do; what the engine has left is nothing then. */
  let reports = false;
  const report = (): void => {
    const { queuedMs } = engine.load();
    stats = { queuedMs, costs: engine.costs(), batchRows: engine.budgets.maxRows };
    dispatcher.heardStats();
    reports = dispatcher.running > 0;
    if (reports) cancel = clock.after(reportMs, report);
  };
  const keepReporting = (): void => {
    if (reports) return;
    reports = true;
    cancel = clock.after(reportMs, report);
  };
  return {
    models: engine.models,
    dispatcher,
    holds,
    async warmUp() {
      await engine.warmUp();
      busyMs = 0;
      report();
    },
    get busyMs() {
      return busyMs;
    },
    get visionPasses() {
      return visionPasses;
    },
    stop: () => cancel(),
  };
}
