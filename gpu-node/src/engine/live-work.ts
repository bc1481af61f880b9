// What the engine was asked for and has not done, as it is and as the schedule sees it.
import type { Comparer, SingleJob } from "./compare-jobs.ts";
import type { EngineEvents } from "./look.ts";
import { featureKey, type Outcome } from "./messages.ts";
import type { Budgets, Member, ModelCosts } from "./schedule.ts";
import type { Writer, WritingMember } from "./writing-job.ts";

/** One text of a generation, or one job that is no generation. */
export type Live =
  | { readonly kind: "writing"; readonly member: WritingMember }
  | { readonly kind: "single"; readonly single: QueuedSingle };

export interface QueuedSingle {
  readonly id: number;
  readonly job: SingleJob;
  readonly model: Comparer;
  readonly arrivedAt: number;
  readonly signal: AbortSignal;
  readonly events: EngineEvents;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

export const promptTokensOf = (
  { manifest }: Pick<Writer, "manifest">,
  { row }: { readonly row: { readonly textIds: readonly number[] } },
): number => manifest.qformer.queries + row.textIds.length;

/** An entry as the schedule sees it. */
export function memberOf(entry: Live): Member {
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
}

/** What is left of all members, each with its share of full batches. */
export function queuedMs(
  members: readonly Member[],
  costs: (model: string) => ModelCosts,
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
