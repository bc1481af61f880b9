// The room of the engine process: models, what they were asked for, and one loop that does one thing after another as
// the schedule says. Knows nothing of queues, HTTP or processes.
import { setImmediate as nextTurn } from "node:timers/promises";
import { AppError } from "@blip2-edge/shared/problem";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import { announce } from "./announce.ts";
import { createWorks, pixelsRequired, type WorkListener } from "./carry-out.ts";
import type { Comparer, SingleJob } from "./compare-jobs.ts";
import { createCosts, type MeasuredCosts } from "./costs.ts";
import type { FeatureStore } from "./feature-store.ts";
import { memberOf, queuedMs, type QueuedSingle } from "./live-work.ts";
import type { EngineEvents } from "./look.ts";
import { featureKey, type GenerateJob, type Job, type Outcome, sightKey } from "./messages.ts";
import { type Budgets, type Need, schedule } from "./schedule.ts";
import { warmUpModel } from "./warm-up.ts";
import { createWritingJob, type Writer, type WritingJob } from "./writing-job.ts";

/** What the engine needs of a model. */
export type EngineModel = Writer | Comparer;

export interface EngineOptions {
  readonly budgets?: Partial<Budgets>;
  readonly work?: WorkListener;
  readonly now?: () => number;
}

export interface EngineLoad {
  /** Estimated milliseconds of what was asked for and is not done. */
  readonly queuedMs: number;
  readonly batchRows: number;
  readonly kvBytes: number;
  /** Members by what they need next; those that decode are in the batch. */
  readonly waiting: Readonly<Partial<Record<Need, number>>>;
}

export interface EngineRoom {
  readonly models: readonly CatalogModel[];
  /** By model revision: equal where models have the same vision tower. */
  readonly visionKeys: Readonly<Record<string, string>>;
  readonly budgets: Budgets;
  /** Runs every graph, so that the first request pays for nothing but itself, and measures what each costs. */
  warmUp(): Promise<void>;
  /**
   * Errors: `model_not_found`, `revision_mismatch`, `invalid_request`, `pixels_required`, `deadline_exceeded`, the
   * signal's reason between two actions, `engine_restarted` when the model fails under a batch, those of the models.
   */
  run(job: Job, signal: AbortSignal, events: EngineEvents): Promise<Outcome>;
  load(): EngineLoad;
  costs(): ReturnType<MeasuredCosts["engine"]>;
}

export const defaultBudgets: Budgets = {
  maxRows: 16,
  maxBytes: 2 ** 30,
  maxImages: 8,
  maxPromptTokens: 256,
  runMs: 250,
  maxSteps: 16,
  patienceMs: 10_000,
};

export function createEngine(
  models: readonly EngineModel[],
  store: FeatureStore,
  options: EngineOptions = {},
): EngineRoom {
  const { now = () => performance.now(), work } = options;
  const budgets: Budgets = { ...defaultBudgets, ...options.budgets };
  const byName = new Map<string, EngineModel>();
  for (const model of models) {
    const { name } = model.manifest;
    if (byName.has(name)) {
      throw new AppError("usage", `Two of the artifacts are called ${name}; serve one of them.`);
    }
    byName.set(name, model);
  }
  /** A model that compares comes back to the image with other texts; two models come back for each other. */
  const keepsSight = ({ kind, visionKey }: Pick<EngineModel, "kind" | "visionKey">): boolean =>
    kind === "retrieval" || models.filter((each) => each.visionKey === visionKey).length > 1;
  const costs = new Map(models.map(({ manifest }) => [manifest.name, createCosts()]));
  const costsOf = (model: string): MeasuredCosts => {
    const known = costs.get(model);
    if (known === undefined) throw new Error(`no model ${model}`);
    return known;
  };

  const works = createWorks({ store, costsOf, keepsSight, work, now });
  const { live, batches } = works;
  const leaving = new Set<WritingJob | QueuedSingle>();
  let nextId = 1;
  let last: Need | undefined;
  let decoded: readonly string[] = [];

  const find = (job: Job): EngineModel => {
    const model = byName.get(job.model);
    if (model === undefined) {
      throw new AppError("model_not_found", `This node does not serve ${job.model}.`);
    }
    if (model.manifest.model_revision !== job.modelRevision) {
      throw new AppError(
        "revision_mismatch",
        `This node holds revision ${model.manifest.model_revision} of ${job.model}.`,
      );
    }
    return model;
  };

  /** Takes out whoever has left while something ran. */
  const sweep = (): void => {
    for (const one of leaving) {
      if ("members" in one) works.forget(one);
      else live.delete(one.id);
    }
    leaving.clear();
  };

  let turning = false;
  const turn = async (): Promise<void> => {
    for (;;) {
      sweep();
      const state = {
        members: [...live.values()].map(memberOf),
        last,
        decoded,
        costs: (model: string) => costsOf(model).model(batches.get(model)?.rows ?? 1),
      };
      const action = schedule(state, budgets, now());
      if (action.kind === "idle") break;
      await works.carryOut(action);
      if (action.kind !== "drop") last = action.kind;
      if (action.kind === "decode") {
        decoded = [...decoded.filter((name) => name !== action.model), action.model];
      }
      await nextTurn(); // messages are heard between two actions
    }
    turning = false; // in the same moment in which nothing was found to do
  };
  const wake = (): void => {
    if (turning) return;
    turning = true;
    void turn();
  };

  const write = (
    job: GenerateJob,
    model: Writer,
    signal: AbortSignal,
    events: EngineEvents,
  ): Promise<Outcome> =>
    untilAborted(signal, (resolve, reject) => {
      const held = store.get(featureKey(job, job.modelRevision));
      const sight = store.has(sightKey(job, model.visionKey));
      if (held === undefined && !sight && job.pixels === undefined) throw pixelsRequired();
      const ids = job.texts.map(() => nextId++);
      const writing = createWritingJob({
        ...{ model, asked: job, ids, held, events, resolve, reject, now: now() },
      });
      for (const member of writing.members) live.set(member.id, { kind: "writing", member });
      wake();
      return () => {
        writing.fail(signal.reason);
        leaving.add(writing);
      };
    });

  const compare = (
    job: SingleJob,
    model: Comparer,
    signal: AbortSignal,
    events: EngineEvents,
  ): Promise<Outcome> =>
    untilAborted(signal, (resolve, reject) => {
      const id = nextId++;
      const arrivedAt = now();
      const single = { id, job, model, signal, events, arrivedAt, resolve, reject };
      live.set(id, { kind: "single", single });
      wake();
      return () => {
        if (live.has(id)) leaving.add(single);
        reject(signal.reason);
      };
    });

  return {
    models: models.map(announce),
    visionKeys: Object.fromEntries(
      models.map(({ manifest, visionKey }) => [manifest.model_revision, visionKey]),
    ),
    budgets,
    async warmUp() {
      for (const model of models) await warmUpModel(model, costsOf(model.manifest.name), now);
    },
    async run(job, signal, events) {
      signal.throwIfAborted();
      const model = find(job);
      if (job.kind === "generate") {
        if (model.kind === "generation") return write(job, model, signal, events);
        throw new AppError("invalid_request", `The model ${job.model} writes no texts.`);
      }
      if (model.kind === "retrieval") return compare(job, model, signal, events);
      throw new AppError("invalid_request", `The model ${job.model} compares nothing.`);
    },
    load() {
      const members = [...live.values()].map(memberOf);
      const waiting: Partial<Record<Need, number>> = {};
      for (const { need } of members) waiting[need] = (waiting[need] ?? 0) + 1;
      return {
        queuedMs: queuedMs(members, (model) => costsOf(model).model(budgets.maxRows), budgets),
        batchRows: [...batches.values()].reduce((sum, { rows }) => sum + rows, 0),
        kvBytes: [...batches.values()].reduce((sum, { bytes }) => sum + bytes, 0),
        waiting,
      };
    },
    costs() {
      const [largest = {}] = [...costs.values()]
        .map((each) => each.engine(budgets.maxRows))
        .toSorted((one, other) => (other.visionMs ?? 0) - (one.visionMs ?? 0));
      return largest;
    },
  };
}

/** `begin` starts and gives what is to be done should the signal abort before it has settled. */
function untilAborted<T>(
  signal: AbortSignal,
  begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
): Promise<T> {
  let leave: (() => void) | undefined;
  const abort = (): void => leave?.();
  signal.addEventListener("abort", abort, { once: true });
  return new Promise<T>((resolve, reject) => {
    leave = begin(resolve, reject);
  }).finally(() => signal.removeEventListener("abort", abort));
}
