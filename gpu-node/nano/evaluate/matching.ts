// The retrieval model's exam: is a statement true of a picture? Every false one is nearly true, so that guessing from
// the words alone, or from one glance, does not help.

import type { Drawings } from "../scenes/drawings.ts";
import { pictureOf, writeStatements } from "../scenes/exam.ts";
import type { Statement } from "../scenes/statements.ts";
import { falsehoods } from "../scenes/statements.ts";
import type { AskMatch } from "./ask.ts";
import type { Gate } from "./gates.ts";
import type { Share } from "./score.ts";
import { ratio } from "./score.ts";

export interface JudgedStatement extends Pick<Statement, "kind" | "text"> {
  readonly scene: number;
  readonly itm: number;
  readonly itc: number;
}

export interface MatchingEvaluation {
  readonly seed: number;
  readonly scenes: number;
  readonly styles: readonly string[];
  /** Statements judged rightly at a probability of one half. */
  readonly byKind: readonly (Share & { readonly kind: Statement["kind"] })[];
  /** Mean of the shares of true and of false statements judged rightly: a guess gives one half. */
  readonly balancedAccuracy: number;
  /** How often a true statement of a picture gets a higher score than a false one of the same picture. */
  readonly ordered: { readonly itm: number; readonly itc: number };
  readonly gates: readonly Gate[];
  readonly wrong: readonly JudgedStatement[];
}

export interface MatchingOptions {
  readonly seed: number;
  readonly scenes: number;
  /** Pictures in flight at once. */
  readonly parallel?: number;
  readonly progress?: (done: number) => void;
}

/** What the embedded retrieval model must reach. */
const gates = { balancedAccuracy: 0.95, ordered: 0.98 } as const;

const isTrue = ({ kind }: Pick<Statement, "kind">): boolean =>
  kind === "whole" || kind === "partial";

export async function evaluateMatching(
  ask: AskMatch,
  drawings: Drawings,
  options: MatchingOptions,
): Promise<MatchingEvaluation> {
  const exam = writeStatements(options.seed, options.scenes, drawings.styles);
  const judged: JudgedStatement[][] = [];
  let next = 0;
  let done = 0;
  const sit = async (): Promise<void> => {
    for (let index = next++; index < exam.length; index = next++) {
      const item = exam[index];
      if (item === undefined) return;
      const { whole, partial, falses } = item.statements;
      const asked = [whole, partial, ...falses];
      const png = await pictureOf(item.scene, drawings);
      const matches = await ask.match(
        png,
        asked.map(({ text }) => text),
      );
      judged[index] = asked.map(({ kind, text }, at) => ({
        scene: index,
        kind,
        text,
        itm: matches[at]?.itm ?? NaN,
        itc: matches[at]?.itc ?? NaN,
      }));
      options.progress?.(++done);
    }
  };
  await Promise.all(Array.from({ length: options.parallel ?? 2 }, sit));
  const { seed, scenes } = options;
  return { seed, scenes, styles: drawings.styles, ...scoreMatching(judged) };
}

/** Pure arithmetic: one list of judged statements per picture. */
export function scoreMatching(
  judged: readonly (readonly JudgedStatement[])[],
): Omit<MatchingEvaluation, "seed" | "scenes" | "styles"> {
  const all = judged.flat();
  const rightly = (statement: JudgedStatement): boolean =>
    statement.itm > 0.5 === isTrue(statement);
  const share = (statements: readonly JudgedStatement[]): Share => ({
    right: statements.filter(rightly).length,
    of: statements.length,
  });
  const balancedAccuracy =
    (ratio(share(all.filter(isTrue))) + ratio(share(all.filter((each) => !isTrue(each))))) / 2;
  const ordered = { itm: orderedShare(judged, "itm"), itc: orderedShare(judged, "itc") };
  const gate = (name: string, value: number, needed: number): Gate => ({
    name,
    value,
    needed,
    passed: value >= needed,
  });
  return {
    byKind: (["whole", "partial", ...falsehoods] as const)
      .map((kind) => ({ kind, ...share(all.filter((each) => each.kind === kind)) }))
      .filter(({ of }) => of > 0),
    balancedAccuracy,
    ordered,
    gates: [
      gate("balanced accuracy of ITM", balancedAccuracy, gates.balancedAccuracy),
      gate("true above false by ITM", ordered.itm, gates.ordered),
    ],
    wrong: all.filter((each) => !rightly(each)),
  };
}

/** Over all pairs of a true and a false statement of one picture; a tie is half. */
function orderedShare(
  judged: readonly (readonly JudgedStatement[])[],
  score: "itm" | "itc",
): number {
  let won = 0;
  let pairs = 0;
  for (const statements of judged) {
    for (const yes of statements.filter(isTrue)) {
      for (const no of statements.filter((each) => !isTrue(each))) {
        pairs += 1;
        won += yes[score] > no[score] ? 1 : yes[score] === no[score] ? 0.5 : 0;
      }
    }
  }
  return pairs === 0 ? 1 : won / pairs;
}

export function matchingAsMarkdown({
  byKind,
  balancedAccuracy,
  ordered,
}: MatchingEvaluation): string {
  const row = (...cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  return [
    row("", "judged rightly by ITM", "of"),
    row("---", "---:", "---:"),
    ...byKind.map((kind) =>
      row(
        kind.kind === "whole" || kind.kind === "partial"
          ? `true: ${kind.kind}`
          : `false: ${kind.kind}`,
        ratio(kind).toFixed(3),
        kind.of,
      ),
    ),
    row("balanced accuracy", balancedAccuracy.toFixed(3), ""),
    row("a true one above a false one, ITM", ordered.itm.toFixed(3), ""),
    row("a true one above a false one, ITC", ordered.itc.toFixed(3), ""),
  ].join("\n");
}
