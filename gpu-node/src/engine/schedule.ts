// What the engine does next: a pure function of what is there and of the time. One thing at a time runs. Between two
// decode runs there is one piece of other work, or one vision batch with one prefill behind it: nobody who is being
// answered waits for more, and nobody who comes waits for more than one decode run before it is their turn.
import type { Priority } from "./messages.ts";

/** What a member needs next: its image looked at, its prompt read, its tokens decoded, or one piece of other work. */
export type Need = "look" | "prefill" | "decode" | "single";

/** One text of a job on its way, or one job that is no generation. Times are milliseconds of one clock. */
export interface Member {
  readonly id: number;
  readonly model: string;
  readonly need: Need;
  readonly priority: Priority;
  readonly arrivedAt: number;
  readonly deadlineAt: number;
  /** Members that look at the same image look once. */
  readonly image: string;
  readonly promptTokens: number;
  /** Of the decode batch, at its widest. */
  readonly rows: number;
  /** Of keys and values, at its widest and longest. */
  readonly bytes: number;
  /** Tokens that may still come. */
  readonly stepsLeft: number;
}

/** Measured, or guessed low. Milliseconds. */
export interface ModelCosts {
  readonly perImage: number;
  readonly perPromptToken: number;
  /** One decode step of as many rows as decode now. */
  readonly perStep: number;
}

export interface ScheduleState {
  /** In the order of their arrival. */
  readonly members: readonly Member[];
  /** What ran last. */
  readonly last: Need | undefined;
  /** Models in the order in which they decoded last; one that never did is not among them. */
  readonly decoded: readonly string[];
  readonly costs: (model: string) => ModelCosts;
}

export interface Budgets {
  /** Rows of one model's decode batch. */
  readonly maxRows: number;
  /** Of keys and values, of all models: every row of a model's batch takes as much as its longest. */
  readonly maxBytes: number;
  /** In one vision batch. */
  readonly maxImages: number;
  /** In one prefill, pads included. */
  readonly maxPromptTokens: number;
  /** What a decode run should take; others wait that long. */
  readonly runMs: number;
  /** In one decode run. */
  readonly maxSteps: number;
  /** Bulk that has waited so long goes by its arrival, as interactive does. */
  readonly patienceMs: number;
}

export type Action =
  | { readonly kind: "drop"; readonly ids: readonly number[] }
  | { readonly kind: "look"; readonly model: string; readonly ids: readonly number[] }
  | { readonly kind: "prefill"; readonly model: string; readonly ids: readonly number[] }
  | { readonly kind: "decode"; readonly model: string; readonly steps: number }
  | { readonly kind: "single"; readonly id: number }
  | { readonly kind: "idle" };

/** Prompts read together are padded to the longest: they differ by no more than this. */
const paddingTokens = 16;
/** Of the batch's rows: so many may stand ready behind a full batch before images are looked at ahead. */
const aheadShare = 1 / 4;
/** In decode runs: how long prompts read together may hold up those who decode and those who come. */
const prefillRuns = 2;

export function schedule(state: ScheduleState, budgets: Budgets, now: number): Action {
  const { members, last } = state;
  const late = members.filter(({ deadlineAt }) => deadlineAt <= now);
  if (late.length > 0) return { kind: "drop", ids: late.map(({ id }) => id) };

  const decoding = members.filter(({ need }) => need === "decode");
  const goOn = (): Action => decodeRun(state, budgets, decoding);
  // After a look the batch waits for a prompt too: it decodes with one row more, and who was looked at waits no second run.
  if (decoding.length > 0 && last !== "decode" && last !== "look") return goOn();

  const waiting = inTurn(
    members.filter(({ need }) => need !== "decode"),
    budgets.patienceMs,
    now,
  );
  /** Rows that are ready and do not fit: from the first of them on, nobody overtakes. */
  let blockedRows = 0;
  for (const member of waiting) {
    if (decoding.length > 0 && last === "look" && member.need !== "prefill") return goOn();
    switch (member.need) {
      case "single":
        return { kind: "single", id: member.id };
      case "look":
        if (blockedRows > 0 && blockedRows >= budgets.maxRows * aheadShare) break;
        return {
          kind: "look",
          model: member.model,
          ids: lookWith(member, waiting, state, budgets),
        };
      case "prefill":
        if (blockedRows === 0 && fits([member], decoding, budgets)) {
          const ids = prefillWith(member, waiting, decoding, state, budgets);
          return { kind: "prefill", model: member.model, ids };
        }
        blockedRows += member.rows;
        break;
      case "decode":
        break;
    }
  }
  return decoding.length > 0 ? goOn() : { kind: "idle" };
}

/** Interactive and patient bulk by arrival, then the other bulk by arrival. */
function inTurn(members: readonly Member[], patienceMs: number, now: number): Member[] {
  const rank = ({ priority, arrivedAt }: Member): number =>
    priority === "interactive" || now - arrivedAt >= patienceMs ? 0 : 1;
  return members.toSorted(
    (one, other) => rank(one) - rank(other) || one.arrivedAt - other.arrivedAt || one.id - other.id,
  );
}

/** Whether these may join those who decode. One that is too large for any batch decodes alone. */
function fits(
  joining: readonly Member[],
  decoding: readonly Member[],
  { maxRows, maxBytes }: Budgets,
): boolean {
  if (decoding.length === 0 && joining.length === 1) return true;
  const model = joining[0]?.model;
  const all = [...decoding, ...joining];
  const rows = all.reduce((sum, each) => sum + (each.model === model ? each.rows : 0), 0);
  return rows <= maxRows && batchBytes(all) <= maxBytes;
}

/** What keys and values take: a batch is a rectangle of all its rows, each as long as the longest. */
function batchBytes(members: readonly Member[]): number {
  let sum = 0;
  for (const batch of Map.groupBy(members, ({ model }) => model).values()) {
    const rows = batch.reduce((total, each) => total + each.rows, 0);
    sum += rows * Math.max(...batch.map(({ bytes, rows: own }) => bytes / own));
  }
  return sum;
}

/** Everyone whose image is looked at with the first one's: as many images as a decode run takes time. */
function lookWith(
  first: Member,
  waiting: readonly Member[],
  { costs }: ScheduleState,
  { maxImages, runMs }: Budgets,
): number[] {
  const { perImage } = costs(first.model);
  const room = Math.max(1, Math.min(maxImages, Math.floor(runMs / Math.max(perImage, 0.1))));
  const images = new Set<string>();
  const ids: number[] = [];
  for (const { id, need, model, image } of [first, ...waiting.filter((each) => each !== first)]) {
    if (need !== "look" || model !== first.model) continue;
    if (!images.has(image) && images.size === room) continue;
    images.add(image);
    ids.push(id);
  }
  return ids;
}

/** Who reads their prompts with the first one: in turn, of about its length, no longer than others can wait. */
function prefillWith(
  first: Member,
  waiting: readonly Member[],
  decoding: readonly Member[],
  { costs }: ScheduleState,
  budgets: Budgets,
): number[] {
  const { perPromptToken } = costs(first.model);
  const { maxPromptTokens, runMs } = budgets;
  const joining = [first];
  for (const member of waiting) {
    if (member === first || member.need !== "prefill") continue;
    const together = [...joining, member];
    const longest = Math.max(...together.map(({ promptTokens }) => promptTokens));
    const shortest = Math.min(...together.map(({ promptTokens }) => promptTokens));
    const tokens = longest * together.length;
    const tooLong = tokens * perPromptToken > prefillRuns * runMs;
    const alike = member.model === first.model && longest - shortest <= paddingTokens;
    if (!alike || tokens > maxPromptTokens || tooLong || !fits(together, decoding, budgets)) break;
    joining.push(member);
  }
  return joining.map(({ id }) => id);
}

function decodeRun(
  { decoded, costs }: ScheduleState,
  { runMs, maxSteps }: Budgets,
  decoding: readonly Member[],
): Action {
  const models = [...new Set(decoding.map(({ model }) => model))];
  const turn = (model: string): number => decoded.indexOf(model); // -1, never, comes first
  const model = models.reduce((one, other) => (turn(other) < turn(one) ? other : one));
  const mine = decoding.filter((each) => each.model === model);
  const longest = Math.max(...mine.map(({ stepsLeft }) => stepsLeft));
  const inTime = Math.floor(runMs / Math.max(costs(model).perStep, 0.01));
  return { kind: "decode", model, steps: Math.max(1, Math.min(inTime, maxSteps, longest)) };
}
