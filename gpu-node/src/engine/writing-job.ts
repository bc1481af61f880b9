// A generation job inside the engine: its texts on their way, what was measured of it, and how it ends. Knows
// nothing of what runs when.
import type { InferResult } from "@blip2-edge/shared/wire/protocol";
import type { PreparedRow, Progress } from "../generate/running-batch.ts";
import { createTextStream, type TextStream } from "../generate/text-stream.ts";
import type { GenerationModel } from "../runtime/generation-model.ts";
import type { StageSpan } from "./engine-activity.ts";
import type { GenerateJob, Outcome } from "./messages.ts";
import type { EngineEvents, Looker } from "./look.ts";
import type { Need } from "./schedule.ts";

/** What of a model writes. */
export type Writer = Looker &
  Pick<GenerationModel, "kind" | "manifest" | "tokenizer" | "prepare" | "openBatch" | "resultOf">;

/** One text of a job. */
export interface WritingMember {
  readonly id: number;
  readonly job: WritingJob;
  /** Which of the job's texts. */
  readonly index: number;
  need: Extract<Need, "look" | "prefill" | "decode">;
  /** Its prefix is empty until the image has been looked at. */
  prepared: PreparedRow;
  generated: number;
  readonly stream: TextStream | undefined;
}

/** One action of the engine, on its clock. */
export interface Ran {
  readonly startedAt: number;
  readonly endedAt: number;
  /** Images that were looked at, or rows that were read, of all jobs. */
  readonly size: number;
}

export interface WritingJob {
  readonly model: Writer;
  readonly asked: GenerateJob;
  readonly events: EngineEvents;
  readonly arrivedAt: number;
  readonly deadlineAt: number;
  readonly members: readonly WritingMember[];
  /** Looked at: gives the members their prefix. */
  seen(projected: Float32Array, visionPasses: number, ran: Ran): void;
  /** The member's prompt was read. */
  prefilled(ran: Ran): void;
  /** Some of its members were in a decode run of so many rows and steps. */
  decoded(rows: number, steps: number): void;
  /** How a member stands after a join or a run. Says whether it has left the batch. */
  stands(member: WritingMember, progress: Progress<number>, now: number): boolean;
  /** Ends the job, once. */
  fail(error: unknown): void;
  readonly over: boolean;
}

export interface WritingSettings {
  readonly model: Writer;
  readonly asked: GenerateJob;
  readonly now: number;
  /** Ids of the members: one per text. */
  readonly ids: readonly number[];
  /** The image's features, where the store holds them. */
  readonly held: Float32Array | undefined;
  readonly events: EngineEvents;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

/** Errors: those of the model's prepare, before anything runs. */
export function createWritingJob(settings: WritingSettings): WritingJob {
  const { model, asked, now: arrivedAt, ids, held, events, resolve, reject } = settings;
  const results = new Map<number, InferResult>();
  let visionPasses = 0;
  let firstTokenAt: number | undefined;
  const spent = { vision: 0, prefill: 0 };
  const timeline: StageSpan[] = [];
  const inDecode = { runs: 0, steps: 0, rowSteps: 0 };
  let visionImages: number | undefined;
  let readAt = arrivedAt;
  let over = false;

  const prepare = (text: string | null, projected: Float32Array): PreparedRow =>
    model.prepare({ projected, text, generation: asked.generation });
  const nothingYet = new Float32Array();

  const passed = (stage: "vision" | "prefill", { startedAt, endedAt }: Ran): void => {
    spent[stage] += endedAt - startedAt;
    timeline.push({ stage, startMs: startedAt - arrivedAt, endMs: endedAt - arrivedAt });
  };

  const finish = (now: number): void => {
    if (over) return;
    over = true;
    const decode = now - readAt;
    const wait = Math.max(0, now - arrivedAt - spent.vision - spent.prefill - decode);
    resolve({
      kind: "generate",
      results: asked.texts.map((_, index) => {
        const result = results.get(index);
        if (result === undefined) throw new Error("a text without a result");
        return result;
      }),
      firstTokenMs: (firstTokenAt ?? now) - arrivedAt,
      visionPasses,
      stages: { wait, ...spent, decode },
      detail: {
        timeline: [
          ...timeline,
          { stage: "decode", startMs: readAt - arrivedAt, endMs: now - arrivedAt },
        ],
        ...(visionImages === undefined ? {} : { visionImages }),
        decodeRuns: inDecode.runs,
        decodeSteps: inDecode.steps,
        ...(inDecode.steps === 0 ? {} : { meanRows: inDecode.rowSteps / inDecode.steps }),
      },
    });
  };

  const job: WritingJob = {
    model,
    asked,
    events,
    arrivedAt,
    deadlineAt: arrivedAt + asked.deadlineMs,
    members: asked.texts.map((text, index): WritingMember => ({
      id: ids[index] ?? -1,
      get job() {
        return job;
      },
      index,
      need: held === undefined ? "look" : "prefill",
      prepared: prepare(text, held ?? nothingYet),
      generated: 0,
      stream: asked.stream ? createTextStream(model.tokenizer) : undefined,
    })),
    seen(projected, passes, ran) {
      visionPasses += passes;
      if (ran.size > 0) visionImages = ran.size;
      passed("vision", ran);
      for (const member of job.members) {
        if (member.need !== "look") continue;
        const { row } = member.prepared;
        member.prepared = { ...member.prepared, row: { ...row, prefix: projected } };
        member.need = "prefill";
      }
    },
    prefilled: (ran) => passed("prefill", ran),
    decoded(rows, steps) {
      inDecode.runs += 1;
      inDecode.steps += steps;
      inDecode.rowSteps += rows * steps;
    },
    stands(member, { ids: written, done, error }, now) {
      if (over) return true;
      if (error !== undefined) {
        job.fail(error);
        return true;
      }
      if (member.need === "prefill") readAt = now;
      member.need = "decode";
      firstTokenAt ??= now;
      member.generated = Math.max(
        member.generated + (written.length === 0 ? 1 : 0),
        written.length,
      );
      if (member.stream !== undefined && written.length > 0 && done === undefined) {
        const more = member.stream.push(written);
        if (more !== "") events.onText?.(member.index, more);
      }
      if (done === undefined) return false;
      const result = model.resultOf(member.prepared, done);
      const rest = member.stream?.end(result.text) ?? "";
      if (rest !== "") events.onText?.(member.index, rest);
      results.set(member.index, result);
      if (results.size === asked.texts.length) finish(now);
      return true;
    },
    fail(error) {
      if (over) return;
      over = true;
      reject(error);
    },
    get over() {
      return over;
    },
  };
  return job;
}
