// What the embedded model must reach: `default` on 300 scenes of a fresh seed, `test` on the few that fit in a test run.

import type { AnswerScores, CaptionScores } from "./score.ts";
import { ratio } from "./score.ts";

export type GateSet = "default" | "test";

export const captionGates: Readonly<Partial<Record<keyof CaptionScores, number>>> = {
  objectRecall: 0.93,
  colour: 0.97,
  background: 0.99,
  nounAndCount: 0.85,
  wholeCaption: 0.75,
};
export const answersGate = 0.94;
/** Every kind of question must beat its own best blind guess by this much. */
export const aboveBlind = 0.2;

/** A small sample wanders more. */
const slack: Readonly<Record<GateSet, number>> = { default: 0, test: 0.03 };
/** In a small sample one answer can be so frequent that nothing could beat it by that much. */
const highestKindGate = 0.95;
/** Fewer questions than this say nothing about a kind; it is shown but not gated. */
const enough = 10;

export interface Gate {
  readonly name: string;
  readonly value: number;
  readonly needed: number;
  readonly passed: boolean;
}

export function checkGates(
  captions: CaptionScores,
  answers: AnswerScores,
  set: GateSet,
): readonly Gate[] {
  const gate = (name: string, value: number, needed: number): Gate => ({
    name,
    value,
    needed,
    passed: value >= needed - 1e-9,
  });
  return [
    ...(Object.keys(captionGates) as (keyof CaptionScores)[]).map((name) =>
      gate(name, ratio(captions[name]), (captionGates[name] ?? 0) - slack[set]),
    ),
    gate("answers", ratio(answers.all), answersGate - slack[set]),
    ...answers.byKind
      .filter(({ of }) => of >= enough)
      .map((kind) => gate(kind.kind, ratio(kind), kind.blind + aboveBlind - slack[set])),
  ];
}
