// Entry of the engine process: one per device, forked by the door, owner of the sessions. It answers on
// the IPC channel only and ends when the channel closes, however the door ended, so no orphan stays.
import process from "node:process";
import { AppError } from "@blip2-edge/shared/problem";
import { createLog } from "../observe/log.ts";
import { createLoopLag } from "../observe/loop-lag.ts";
import { loadModels } from "../runtime/load-model.ts";
import type { Placement } from "../runtime/placement.ts";
import { createActivityRecorder, noBatch } from "./activity-recorder.ts";
import type { BatchState } from "./engine-activity.ts";
import { createEngine, type EngineRoom } from "./engine.ts";
import { createFeatureStore } from "./feature-store.ts";
import {
  type EngineSettings,
  type FromEngine,
  type Job,
  type ToEngine,
  toSentError,
} from "./messages.ts";

const send = (message: FromEngine): void => {
  if (process.connected) process.send?.(message);
};

/** To standard error, which is the door's: what a provider left to the CPU must not go unseen. */
const log = createLog((line) => void process.stderr.write(`${line}\n`));
const logPlacement = (graph: string, placement: Placement): void => {
  const { nodes, elsewhere, copies, copiedBytes } = placement;
  log.info("operators_placed", { graph, nodes, elsewhere, copies, copied_bytes: copiedBytes });
};

const running = new Map<number, AbortController>();
let engine: EngineRoom | undefined;

const loopLag = createLoopLag();
const recorder = createActivityRecorder({
  send: (activity) => send({ type: "activity", activity }),
  batch: () => (engine === undefined ? noBatch : batchOf(engine)),
  rssBytes: () => process.memoryUsage.rss(),
  loopLag: () => loopLag.read(),
});

function batchOf(room: EngineRoom): BatchState {
  const { batchRows, kvBytes, waiting } = room.load();
  const { look = 0, prefill = 0, single = 0 } = waiting;
  return {
    rows: batchRows,
    maxRows: room.budgets.maxRows,
    kvBytes,
    waiting: { vision: look, prefill, compare: single },
  };
}

/** How often the door is told what is left to do, while there is something. */
const reportMs = 250;

/** Once now, so that admission knows what this machine takes, then while anything changes. */
function reportLoad(room: EngineRoom): void {
  let said = "";
  const report = (): void => {
    const { queuedMs } = room.load();
    const stats = { queuedMs, costs: room.costs(), batchRows: room.budgets.maxRows };
    const saying = JSON.stringify(stats);
    if (saying !== said) send({ type: "stats", stats });
    said = saying;
  };
  report();
  setInterval(report, reportMs).unref();
}

async function start(settings: EngineSettings): Promise<void> {
  try {
    const { modelDirs, threads, provider } = settings;
    const models = await loadModels(modelDirs, {
      threads,
      provider,
      // On the CPU there is nothing to tell.
      ...(provider === "cpu" ? {} : { onPlacement: logPlacement }),
    });
    const store = createFeatureStore(settings.featureStoreMaxBytes);
    engine = createEngine(models, store, { work: recorder });
    await engine.warmUp();
    reportLoad(engine);
    send({ type: "ready", models: engine.models, visionKeys: engine.visionKeys });
    recorder.flush();
  } catch (error) {
    send({ type: "failed", error: toSentError(error) });
  }
}

async function run(id: number, job: Job): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  try {
    if (engine === undefined) throw new AppError("not_ready", "The model is still loading.");
    const outcome = await engine.run(job, controller.signal, {
      onStore: (change) => send({ type: "store", change }),
      onVisionPass: () => send({ type: "vision_pass" }),
      onText: (index, text) => send({ type: "text", id, index, text }),
    });
    send({ type: "result", id, outcome });
  } catch (error) {
    send({ type: "error", id, error: toSentError(error) });
  } finally {
    running.delete(id);
  }
}

process.on("message", (message: ToEngine) => {
  switch (message.type) {
    case "start":
      void start(message.settings);
      break;
    case "run":
      void run(message.id, message.job);
      break;
    case "cancel":
      running.get(message.id)?.abort(new AppError("canceled", "The request was cancelled."));
      break;
    case "stop":
      process.exit(0);
  }
});
process.on("disconnect", () => process.exit(0));
// A signal to the whole process group (Ctrl-C, a service manager) is the door's to obey: it lets what
// runs finish and then ends this process.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
process.on("SIGHUP", () => {});
