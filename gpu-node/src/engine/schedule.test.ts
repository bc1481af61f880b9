// The schedule under any traffic, on a clock of its own: what it promises is looked at after every action.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Action, type Budgets, type Member, type Need, schedule } from "./schedule.ts";

const budgets: Budgets = {
  maxRows: 8,
  maxBytes: 800,
  maxImages: 3,
  maxPromptTokens: 200,
  runMs: 250,
  maxSteps: 16,
  patienceMs: 5000,
};
const models = ["a", "b"];
const costs = { perImage: 100, perPromptToken: 2, perStep: 40 };

interface Arrival {
  readonly afterMs: number;
  readonly model: string;
  readonly bulk: boolean;
  readonly single: boolean;
  readonly held: boolean;
  readonly image: number;
  readonly promptTokens: number;
  readonly rows: number;
  readonly steps: number;
  /** Undefined for one that waits for ever. */
  readonly deadlineMs: number | undefined;
}
const arrivals = (deadlines: boolean) =>
  fc.array(
    fc.record<Arrival>({
      afterMs: fc.integer({ min: 0, max: 900 }),
      model: fc.constantFrom(...models),
      bulk: fc.boolean(),
      single: fc.nat({ max: 4 }).map((dice) => dice === 0),
      held: fc.boolean(),
      image: fc.nat({ max: 5 }),
      promptTokens: fc.integer({ min: 33, max: 90 }),
      rows: fc.constantFrom(1, 1, 1, 2, 5, 12),
      steps: fc.integer({ min: 1, max: 64 }),
      deadlineMs: deadlines
        ? fc.option(fc.integer({ min: 50, max: 6000 }), { nil: undefined })
        : fc.constant(undefined),
    }),
    { minLength: 1, maxLength: 25 },
  );

interface Turn {
  readonly at: number;
  readonly tookMs: number;
  readonly action: Action;
  /** Before it. */
  readonly members: readonly Member[];
}

/** Carries the schedule's actions out until nobody is left. */
function simulate(traffic: readonly Arrival[]) {
  const turns: Turn[] = [];
  const ended = new Map<number, number>();
  const dropped = new Map<number, number>();
  let at = 0;
  let members: Member[] = [];
  let last: Need | undefined;
  let decoded: string[] = [];
  let clock = 0;
  const coming = traffic.map((arrival, id): Member => {
    clock += arrival.afterMs;
    return {
      id,
      model: arrival.model,
      need: arrival.single ? "single" : arrival.held ? "prefill" : "look",
      priority: arrival.bulk ? "bulk" : "interactive",
      arrivedAt: clock,
      deadlineAt: clock + (arrival.deadlineMs ?? Infinity),
      image: `${arrival.model}/${arrival.image}`,
      promptTokens: arrival.promptTokens,
      rows: arrival.single ? 0 : arrival.rows,
      bytes: arrival.single ? 0 : arrival.rows * (arrival.promptTokens + arrival.steps),
      stepsLeft: arrival.steps,
    };
  });
  const become = (ids: readonly number[], need: Need): void => {
    members = members.map((each) => (ids.includes(each.id) ? { ...each, need } : each));
  };
  for (let turn = 0; turn < 20_000; turn += 1) {
    while (coming[0] !== undefined && coming[0].arrivedAt <= at) members.push(coming.shift()!);
    const action = schedule({ members, last, decoded, costs: () => costs }, budgets, at);
    if (action.kind === "idle") {
      expect(members).toEqual([]); // it idles only when nobody is there
      if (coming[0] === undefined) return { turns, ended, dropped, at };
      at = coming[0].arrivedAt;
      continue;
    }
    const before = members;
    let tookMs = 0;
    switch (action.kind) {
      case "drop":
        for (const id of action.ids) dropped.set(id, at);
        members = members.filter(({ id }) => !action.ids.includes(id));
        break;
      case "single":
        tookMs = costs.perImage;
        members = members.filter(({ id }) => id !== action.id);
        ended.set(action.id, at + tookMs);
        break;
      case "look": {
        const images = new Set(
          before.filter(({ id }) => action.ids.includes(id)).map(({ image }) => image),
        );
        tookMs = images.size * costs.perImage;
        become(action.ids, "prefill");
        break;
      }
      case "prefill": {
        const joining = before.filter(({ id }) => action.ids.includes(id));
        tookMs =
          costs.perPromptToken *
          joining.length *
          Math.max(...joining.map(({ promptTokens }) => promptTokens));
        become(action.ids, "decode");
        break;
      }
      case "decode": {
        tookMs = action.steps * costs.perStep;
        members = members.flatMap((each) => {
          if (each.need !== "decode" || each.model !== action.model) return [each];
          const stepsLeft = each.stepsLeft - action.steps;
          if (stepsLeft > 0) return [{ ...each, stepsLeft }];
          ended.set(each.id, at + tookMs);
          return [];
        });
        decoded = [...decoded.filter((name) => name !== action.model), action.model];
        break;
      }
    }
    turns.push({ at, tookMs, action, members: before });
    if (action.kind !== "drop") last = action.kind;
    at += tookMs;
  }
  throw new Error("it never ends");
}

const idsOf = (action: Action): readonly number[] =>
  "ids" in action ? action.ids : "id" in action ? [action.id] : [];

describe("the schedule", () => {
  test("everybody who may wait is done, in about the time of all work one after another", () => {
    fc.assert(
      fc.property(arrivals(false), (traffic) => {
        const { ended, at } = simulate(traffic);
        expect(ended.size).toBe(traffic.length);
        const work = traffic.reduce(
          (sum, { promptTokens, steps }) =>
            sum + costs.perImage + promptTokens * costs.perPromptToken + steps * costs.perStep,
          0,
        );
        const lastCame = traffic.reduce((sum, { afterMs }) => sum + afterMs, 0);
        // A run may go on for a few steps after the last of its rows.
        expect(at).toBeLessThanOrEqual(lastCame + work + traffic.length * budgets.runMs);
      }),
    );
  });

  test("no budget is exceeded, but by one that is too large for any batch and decodes alone", () => {
    fc.assert(
      fc.property(arrivals(true), (traffic) => {
        for (const { action, members } of simulate(traffic).turns) {
          const decoding = members.filter(({ need }) => need === "decode");
          for (const model of models) {
            const mine = decoding.filter((each) => each.model === model);
            const rows = mine.reduce((sum, each) => sum + each.rows, 0);
            if (mine.length > 1) expect(rows).toBeLessThanOrEqual(budgets.maxRows);
          }
          // What the buffers of each model take: all its rows, each as long as the longest.
          const bytes = models.map((model) => {
            const mine = decoding.filter((each) => each.model === model);
            const longest = Math.max(0, ...mine.map((each) => each.bytes / each.rows));
            return longest * mine.reduce((sum, each) => sum + each.rows, 0);
          });
          if (decoding.length > 1) {
            expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(
              budgets.maxBytes,
            );
          }
          const theirs = members.filter(({ id }) => idsOf(action).includes(id));
          if (action.kind === "look") {
            expect(new Set(theirs.map(({ image }) => image)).size).toBeLessThanOrEqual(
              budgets.maxImages,
            );
          }
          if (action.kind === "prefill" && theirs.length > 1) {
            const lengths = theirs.map(({ promptTokens }) => promptTokens);
            expect(Math.max(...lengths) * theirs.length).toBeLessThanOrEqual(
              budgets.maxPromptTokens,
            );
            expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(16);
            expect(Math.max(...lengths) * theirs.length * costs.perPromptToken).toBeLessThanOrEqual(
              2 * budgets.runMs,
            );
          }
          if (action.kind === "decode") {
            expect(action.steps * costs.perStep).toBeLessThanOrEqual(budgets.runMs);
            expect(action.steps).toBeLessThanOrEqual(budgets.maxSteps);
          }
        }
      }),
    );
  });

  test("nobody is worked for after their deadline, and nobody is dropped before it", () => {
    fc.assert(
      fc.property(arrivals(true), (traffic) => {
        const { turns } = simulate(traffic);
        for (const { at, action, members } of turns) {
          const late = members.filter(({ deadlineAt }) => deadlineAt <= at).map(({ id }) => id);
          if (late.length > 0) expect(action).toEqual({ kind: "drop", ids: late });
          else expect(action.kind).not.toBe("drop");
        }
      }),
    );
  });

  test("who decodes waits for one thing at most, or for a look and one prefill", () => {
    fc.assert(
      fc.property(arrivals(false), (traffic) => {
        const { turns } = simulate(traffic);
        turns.forEach(({ action, members }, index) => {
          const before = turns[index - 1]?.action.kind;
          if (before === undefined || before === "decode") return;
          if (!members.some(({ need }) => need === "decode")) return;
          expect(["decode", ...(before === "look" ? ["prefill"] : [])]).toContain(action.kind);
        });
      }),
    );
  });

  test("interactive goes before bulk, until bulk has waited long enough", () => {
    fc.assert(
      fc.property(arrivals(false), (traffic) => {
        for (const { at, action, members } of simulate(traffic).turns) {
          if (action.kind === "decode" || action.kind === "drop") continue;
          const [first] = members.filter(({ id }) => id === idsOf(action)[0]);
          if (first?.priority !== "bulk" || at - first.arrivedAt >= budgets.patienceMs) continue;
          // It went before nobody interactive who could have had the same turn.
          const passed = members.filter(
            ({ need, priority }) =>
              priority === "interactive" && (need === "single" || need === action.kind),
          );
          if (action.kind === "single") expect(passed).toEqual([]);
          if (action.kind === "prefill") expect(passed).toEqual([]);
        }
      }),
    );
  });

  test("bulk does not starve while interactive work comes faster than it can be done", () => {
    const one: Arrival = {
      ...{ afterMs: 0, model: "a", bulk: true, single: false, held: true, image: 0 },
      ...{ promptTokens: 33, rows: 1, steps: 4, deadlineMs: undefined },
    };
    const flood = Array.from({ length: 150 }, () => ({
      ...one,
      afterMs: 90,
      bulk: false,
      single: true,
    }));
    const { ended, at } = simulate([...flood.slice(0, 2), one, ...flood]);
    expect(at).toBeGreaterThan(2 * budgets.patienceMs);
    expect(ended.get(2)).toBeGreaterThan(budgets.patienceMs); // it did wait
    expect(ended.get(2)).toBeLessThan(1.3 * budgets.patienceMs);
  });

  test("the same state gives the same action", () => {
    fc.assert(
      fc.property(arrivals(true), (traffic) => {
        expect(simulate(traffic)).toEqual(simulate(traffic));
      }),
      { numRuns: 20 },
    );
  });

  test("a short one among long ones waits for one run, then is looked at and reads its prompt at once", () => {
    const long: Arrival = {
      ...{ afterMs: 0, model: "a", bulk: false, single: false, held: true, image: 0 },
      ...{ promptTokens: 33, rows: 1, steps: 64, deadlineMs: undefined },
    };
    const traffic = [
      ...Array.from({ length: 6 }, () => long),
      { ...long, afterMs: 1500, image: 1, held: false, steps: 4 },
    ];
    const { turns, ended } = simulate(traffic);
    const short = 6;
    const came = 1500;
    const itsTurns = turns.filter(({ action }) => idsOf(action).includes(short));
    expect(itsTurns.map(({ action }) => action.kind)).toEqual(["look", "prefill"]);
    const [look, prefill] = itsTurns;
    expect((look?.at ?? Infinity) - came).toBeLessThanOrEqual(budgets.runMs);
    expect(prefill?.at).toBe((look?.at ?? NaN) + (look?.tookMs ?? NaN));
    expect(ended.get(short)).toBeLessThan(Math.min(...[0, 1, 2].map((id) => ended.get(id) ?? 0)));
  });
});
