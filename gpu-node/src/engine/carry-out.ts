// Carries out what the schedule decided: a vision batch, a prefill, a run of the decoder, one piece of other work. One
// at a time; a fault ends those who were part of it and nobody else.
import { AppError } from "@blip2-edge/shared/problem";
import type { Progress, RunningBatch } from "../generate/running-batch.ts";
import { type Comparer, runSingle } from "./compare-jobs.ts";
import type { MeasuredCosts } from "./costs.ts";
import type { FeatureStore } from "./feature-store.ts";
import { type Live, promptTokensOf, type QueuedSingle } from "./live-work.ts";
import { lookTogether } from "./look-together.ts";
import { featureKey, type GenerateJob, sightKey } from "./messages.ts";
import type { Action } from "./schedule.ts";
import type { Writer, WritingJob, WritingMember } from "./writing-job.ts";

/** Hears of what was done. */
export interface WorkListener {
  decodeRun(rows: number, steps: number, tokens: number): void;
  prefill(rows: number): void;
  visionBatch(images: number): void;
}

export interface Works {
  /** By id, in the order of their arrival. */
  readonly live: Map<number, Live>;
  /** Decode batches by their model's name. */
  readonly batches: ReadonlyMap<string, RunningBatch<number>>;
  carryOut(action: Doable): Promise<void>;
  /** Takes a job out, wherever it is. */
  forget(job: WritingJob): void;
}
export type Doable = Exclude<Action, { readonly kind: "idle" }>;

export interface WorksSettings {
  readonly store: FeatureStore;
  readonly costsOf: (model: string) => MeasuredCosts;
  readonly keepsSight: (model: Writer | Comparer) => boolean;
  readonly work: WorkListener | undefined;
  readonly now: () => number;
}

export const pixelsRequired = (): AppError =>
  new AppError("pixels_required", "Send the request again with the image's pixels.");
const tooLate = (): AppError =>
  new AppError("deadline_exceeded", "The answer was not ready in time.", { retryAfterS: 1 });
/** What failed under several members at once is no member's fault. */
const brokenBatch = (cause: unknown): AppError =>
  new AppError(
    "engine_restarted",
    "The model failed while it worked on several requests; send it again.",
    { retryAfterS: 1, cause },
  );

export function createWorks({ store, costsOf, keepsSight, work, now }: WorksSettings): Works {
  const live = new Map<number, Live>();
  const batches = new Map<string, RunningBatch<number>>();

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
    const ids = job.members.map(({ id }) => id);
    for (const id of ids) live.delete(id);
    // Also where it joined while it was being left: what a member needs is not told then.
    batches.get(job.model.manifest.name)?.remove(ids);
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
    if (first === undefined) return;
    const { events } = first;
    const startedAt = now();
    const seen = await lookTogether(
      model,
      toSee.map(({ image }) => image),
      { store, events, keepSight: keepsSight(model) },
    );
    const endedAt = now();
    const tookMs = endedAt - startedAt;
    const passes = seen.reduce((sum, { visionPasses }) => sum + visionPasses, 0);
    const ran = { startedAt, endedAt, size: passes };
    if (passes > 0) {
      costsOf(model.manifest.name).looked(passes, tookMs);
      work?.visionBatch(passes);
    }
    for (const [at, { group }] of toSee.entries()) {
      const looked = seen[at];
      if (looked === undefined) throw new Error("an image without features");
      // One of them pays for the pass, the others found it done.
      group.forEach((job, nth) =>
        job.seen(looked.projected, nth === 0 ? looked.visionPasses : 0, ran),
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
    const endedAt = now();
    const tookMs = endedAt - startedAt;
    const longest = Math.max(...members.map(({ prepared }) => promptTokensOf(model, prepared)));
    costsOf(model.manifest.name).prefilled(longest * members.length, tookMs);
    work?.prefill(members.length);
    const ran = { startedAt, endedAt, size: members.length };
    for (const job of new Set(members.map((member) => member.job))) job.prefilled(ran);
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
    const made = standing.map(({ key, ids }) => Math.max(1, ids.length - (before.get(key) ?? 0)));
    const longest = Math.max(1, ...made);
    const decoding = membersOf(standing.map(({ key }) => key));
    for (const job of new Set(decoding.map((member) => member.job))) job.decoded(rows, longest);
    settle(standing);
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

  const carryOut = async (action: Doable): Promise<void> => {
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
        return;
      }
    }
  };

  return { live, batches, carryOut, forget };
}
