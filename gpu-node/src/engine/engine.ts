// The room of the engine process: models, what they were asked for, and one loop that does one thing after another as
// the schedule says. Knows nothing of queues, HTTP or processes.
import { setImmediate as nextTurn } from "node:timers/promises";
import { AppError } from "@blip2-edge/shared/problem";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { Progress, RunningBatch } from "../generate/running-batch.ts";
import { announce } from "./announce.ts";
import { type Comparer, runSingle, type SingleJob } from "./compare-jobs.ts";
import { createCosts, type MeasuredCosts } from "./costs.ts";
import type { FeatureStore } from "./feature-store.ts";
import type { EngineEvents } from "./look.ts";
import { lookTogether } from "./look-together.ts";
import { featureKey, type GenerateJob, type Job, type Outcome, sightKey } from "./messages.ts";
import { type Action, type Budgets, type Member, type Need, schedule } from "./schedule.ts";
import { warmUpModel } from "./warm-up.ts";
import {
  createWritingJob,
  type Writer,
  type WritingJob,
  type WritingMember,
} from "./writing-job.ts";

/** What the engine needs of a model. */
export type EngineModel = Writer | Comparer;

/** Hears of what was done. */
export interface WorkListener {
  decodeRun(rows: number, steps: number, tokens: number): void;
  prefill(rows: number): void;
  visionBatch(images: number): void;
}

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
  maxPromptTokens: 1024,
  runMs: 250,
  maxSteps: 16,
  patienceMs: 10_000,
};

/** What the schedule sees and what it stands for. */
type Live =
  | { readonly kind: "writing"; readonly member: WritingMember }
  | { readonly kind: "single"; readonly single: QueuedSingle };
interface QueuedSingle {
  readonly id: number;
  readonly job: SingleJob;
  readonly model: Comparer;
  readonly arrivedAt: number;
  readonly signal: AbortSignal;
  readonly events: EngineEvents;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

const pixelsRequired = (): AppError =>
  new AppError("pixels_required", "Send the request again with the image's pixels.");
const tooLate = (): AppError =>
  new AppError("deadline_exceeded", "The answer was not ready in time.", { retryAfterS: 1 });

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
  const keepsSight = ({ kind, visionKey }: EngineModel): boolean =>
    kind === "retrieval" || models.filter((each) => each.visionKey === visionKey).length > 1;
  const costs = new Map(models.map(({ manifest }) => [manifest.name, createCosts()]));
  const costsOf = (model: string): MeasuredCosts => {
    const known = costs.get(model);
    if (known === undefined) throw new Error(`no model ${model}`);
    return known;
  };

  /** In the order of their arrival. */
  const live = new Map<number, Live>();
  const eventsOf = new Map<WritingJob, EngineEvents>();
  const leaving = new Set<WritingJob | QueuedSingle>();
  const batches = new Map<string, RunningBatch<number>>();
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

  const batchOf = (model: Writer): RunningBatch<number> => {
    const { name } = model.manifest;
    const batch = batches.get(name) ?? model.openBatch<number>();
    batches.set(name, batch);
    return batch;
  };
  const membersOf = (ids: readonly number[]): WritingMember[] =>
    ids.flatMap((id) => {
      const entry = live.get(id);
      return entry?.kind === "writing" ? [entry.member] : [];
    });

  const forget = (job: WritingJob): void => {
    for (const { id, need } of job.members) {
      live.delete(id);
      if (need === "decode") batches.get(job.model.manifest.name)?.remove([id]);
    }
    eventsOf.delete(job);
  };
  const failJob = (job: WritingJob, error: unknown): void => {
    job.fail(error);
    forget(job);
  };
  const failAll = (members: readonly WritingMember[], error: unknown): void => {
    for (const job of new Set(members.map((member) => member.job))) failJob(job, error);
  };

  /** Lets everyone know how they stand, and lets go of those who are done. */
  const settle = (standing: readonly Progress<number>[]): void => {
    const at = now();
    for (const progress of standing) {
      const entry = live.get(progress.key);
      if (entry?.kind !== "writing") continue;
      const { member } = entry;
      if (member.job.stands(member, progress, at)) live.delete(member.id);
      if (member.job.over) forget(member.job);
    }
  };

  const look = async (ids: readonly number[]): Promise<void> => {
    const asking = [...new Set(membersOf(ids).map(({ job }) => job))];
    const model = asking[0]?.model;
    if (model === undefined) return;
    const revision = model.manifest.model_revision;
    const groups = [...Map.groupBy(asking, ({ asked }) => featureKey(asked, revision)).values()];
    const toSee: { readonly group: readonly WritingJob[]; readonly image: GenerateJob }[] = [];
    for (const group of groups) {
      // Of several jobs with one image, whoever brought its pixels serves all.
      const image = group.find(({ asked }) => asked.pixels !== undefined)?.asked;
      const held = group.find(({ asked }) => store.has(sightKey(asked, model.visionKey)))?.asked;
      const source = image ?? held;
      if (source === undefined) for (const job of group) failJob(job, pixelsRequired());
      else toSee.push({ group, image: source });
    }
    const [first] = toSee[0]?.group ?? [];
    const events = first === undefined ? undefined : eventsOf.get(first);
    if (events === undefined) return;
    const startedAt = now();
    const seen = await lookTogether(
      model,
      toSee.map(({ image }) => image),
      { store, events, keepSight: keepsSight(model) },
    );
    const tookMs = now() - startedAt;
    const passes = seen.reduce((sum, { visionPasses }) => sum + visionPasses, 0);
    if (passes > 0) {
      costsOf(model.manifest.name).looked(passes, tookMs);
      work?.visionBatch(passes);
    }
    for (const [at, { group }] of toSee.entries()) {
      const looked = seen[at];
      if (looked === undefined) throw new Error("an image without features");
      // One of them pays for the pass, the others found it done.
      group.forEach((job, nth) =>
        job.seen(looked.projected, nth === 0 ? looked.visionPasses : 0, tookMs),
      );
    }
  };

  const prefill = async (ids: readonly number[]): Promise<void> => {
    const members = membersOf(ids);
    const model = members[0]?.job.model;
    if (model === undefined) return;
    const startedAt = now();
    const standing = await batchOf(model).join(
      members.map(({ id, prepared }) => ({ key: id, prepared })),
    );
    const tookMs = now() - startedAt;
    const longest = Math.max(...members.map(({ prepared }) => promptTokensOf(model, prepared)));
    costsOf(model.manifest.name).prefilled(longest * members.length, tookMs);
    work?.prefill(members.length);
    for (const job of new Set(members.map((member) => member.job))) job.prefilled(tookMs);
    settle(standing);
  };

  const decode = async (name: string, steps: number): Promise<void> => {
    const batch = batches.get(name);
    if (batch === undefined) throw new Error(`nothing of ${name} decodes`);
    const { rows } = batch;
    const startedAt = now();
    const standing = await batch.run(steps);
    const tookMs = now() - startedAt;
    const before = new Map(standing.map(({ key }) => [key, generatedOf(key)]));
    settle(standing);
    const made = standing.map(({ key, ids }) => Math.max(1, ids.length - (before.get(key) ?? 0)));
    const longest = Math.max(1, ...made);
    costsOf(name).decoded(rows, longest, tookMs);
    work?.decodeRun(
      rows,
      longest,
      made.reduce((sum, count) => sum + count, 0),
    );
  };
  const generatedOf = (id: number): number => {
    const entry = live.get(id);
    return entry?.kind === "writing" ? entry.member.generated : 0;
  };

  const single = async ({
    id,
    job,
    model,
    arrivedAt,
    signal,
    events,
    resolve,
    reject,
  }: QueuedSingle) => {
    live.delete(id);
    const startedAt = now();
    try {
      const outcome = await runSingle(job, model, signal, {
        store,
        events,
        keepSight: keepsSight(model),
        now,
      });
      const { vision = 0 } = outcome.stages;
      if (outcome.visionPasses > 0) {
        costsOf(model.manifest.name).looked(1, vision);
        work?.visionBatch(1);
      }
      const stages = { wait: startedAt - arrivedAt, ...outcome.stages };
      resolve({ ...outcome, stages });
    } catch (error) {
      reject(error);
    }
  };

  const drop = (ids: readonly number[]): void => {
    for (const id of ids) {
      const entry = live.get(id);
      if (entry?.kind === "writing") failJob(entry.member.job, tooLate());
      if (entry?.kind === "single") {
        live.delete(id);
        entry.single.reject(tooLate());
      }
    }
  };

  /** What failed under several members at once is no member's fault. */
  const brokenBatch = (cause: unknown): AppError =>
    new AppError(
      "engine_restarted",
      "The model failed while it worked on several requests; send it again.",
      { retryAfterS: 1, cause },
    );

  const carryOut = async (action: Exclude<Action, { kind: "idle" }>): Promise<void> => {
    switch (action.kind) {
      case "drop":
        return drop(action.ids);
      case "single": {
        const entry = live.get(action.id);
        if (entry?.kind === "single") await single(entry.single);
        return;
      }
      case "look": {
        const members = membersOf(action.ids);
        try {
          await look(action.ids);
        } catch (error) {
          failAll(members, error instanceof AppError ? error : brokenBatch(error));
        }
        return;
      }
      case "prefill":
      case "decode": {
        try {
          await (action.kind === "prefill"
            ? prefill(action.ids)
            : decode(action.model, action.steps));
        } catch (error) {
          // The batch is not to be trusted any more: whoever is in it, or was to join it, starts again.
          const decoding = batches.get(action.model)?.keys ?? [];
          const joining = action.kind === "prefill" ? action.ids : [];
          batches.delete(action.model);
          failAll(membersOf([...decoding, ...joining]), brokenBatch(error));
        }
        if (action.kind === "decode") {
          decoded = [...decoded.filter((name) => name !== action.model), action.model];
        }
        return;
      }
    }
  };

  /** Takes out whoever has left while something ran. */
  const sweep = (): void => {
    for (const one of leaving) {
      if ("members" in one) forget(one);
      else live.delete(one.id);
    }
    leaving.clear();
  };

  const memberOf = (entry: Live): Member => {
    if (entry.kind === "single") {
      const { id, job, arrivedAt } = entry.single;
      return {
        ...{ id, model: job.model, need: "single", priority: job.priority, arrivedAt },
        deadlineAt: arrivedAt + job.deadlineMs,
        image: "",
        ...{ promptTokens: 0, rows: 0, bytes: 0, stepsLeft: 0 },
      };
    }
    const { id, need, prepared, generated, job } = entry.member;
    const { model, asked, arrivedAt, deadlineAt } = job;
    return {
      ...{ id, need, arrivedAt, deadlineAt, model: asked.model, priority: asked.priority },
      image: featureKey(asked, asked.modelRevision),
      promptTokens: promptTokensOf(model, prepared),
      rows: prepared.width,
      bytes: prepared.bytes,
      stepsLeft: Math.max(1, prepared.limits.generation.max_new_tokens - generated),
    };
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
      if (action.kind === "idle") return;
      await carryOut(action);
      if (action.kind !== "drop") last = action.kind;
      await nextTurn(); // messages are heard between two actions
    }
  };
  const wake = (): void => {
    if (turning) return;
    turning = true;
    void turn().finally(() => {
      turning = false;
    });
  };

  const write = (
    job: GenerateJob,
    model: Writer,
    signal: AbortSignal,
    events: EngineEvents,
  ): Promise<Outcome> =>
    new Promise((resolve, reject) => {
      const held = store.get(featureKey(job, job.modelRevision));
      const sight = store.has(sightKey(job, model.visionKey));
      if (held === undefined && !sight && job.pixels === undefined) {
        throw pixelsRequired();
      }
      const ids = job.texts.map(() => nextId++);
      const abort = (): void => {
        writing.fail(signal.reason);
        leaving.add(writing);
      };
      const end =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          signal.removeEventListener("abort", abort);
          settle(value);
        };
      const writing = createWritingJob({
        ...{ model, asked: job, ids, held, now: now() },
        onText: (index, text) => events.onText?.(index, text),
        resolve: end(resolve),
        reject: end(reject),
      });
      signal.addEventListener("abort", abort, { once: true });
      eventsOf.set(writing, events);
      for (const member of writing.members) live.set(member.id, { kind: "writing", member });
      wake();
    });

  const compare = (
    job: SingleJob,
    model: Comparer,
    signal: AbortSignal,
    events: EngineEvents,
  ): Promise<Outcome> =>
    new Promise((resolve, reject) => {
      const abort = (): void => {
        if (live.has(queued.id)) leaving.add(queued);
        reject(signal.reason as Error);
      };
      const end =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          signal.removeEventListener("abort", abort);
          settle(value);
        };
      const queued: QueuedSingle = {
        ...{ id: nextId++, job, model, signal, events, arrivedAt: now() },
        resolve: end(resolve),
        reject: end(reject),
      };
      signal.addEventListener("abort", abort, { once: true });
      live.set(queued.id, { kind: "single", single: queued });
      wake();
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

const promptTokensOf = (
  { manifest }: Pick<Writer, "manifest">,
  { row }: { readonly row: { readonly textIds: readonly number[] } },
): number => manifest.qformer.queries + row.textIds.length;

/** What is left of all members, each with its share of full batches. */
function queuedMs(
  members: readonly Member[],
  costs: (model: string) => { perImage: number; perPromptToken: number; perStep: number },
  { maxRows }: Budgets,
): number {
  const images = new Set<string>();
  let total = 0;
  for (const { need, model, image, promptTokens, rows, stepsLeft } of members) {
    const { perImage, perPromptToken, perStep } = costs(model);
    const looks = need === "single" || (need === "look" && !images.has(image));
    if (looks) total += perImage;
    images.add(image);
    if (need === "look" || need === "prefill") total += promptTokens * perPromptToken;
    total += (stepsLeft * perStep * rows) / maxRows;
  }
  return total;
}
