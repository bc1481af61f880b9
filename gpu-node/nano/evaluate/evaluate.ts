// Sits the exam: shows every picture, asks for its caption and its answers, scores, compares with the gates.

import type { Drawings } from "../scenes/drawings.ts";
import type { Question } from "../scenes/questions.ts";
import type { Scene } from "../scenes/scene.ts";
import type { Ask } from "./ask.ts";
import { pictureOf, writeExam } from "../scenes/exam.ts";
import type { Gate, GateSet } from "./gates.ts";
import { checkGates } from "./gates.ts";
import type { AnswerScores, CaptionScores } from "./score.ts";
import { scoreAnswers, scoreCaptions } from "./score.ts";

export interface Evaluation {
  readonly seed: number;
  readonly scenes: number;
  readonly styles: readonly string[];
  readonly captions: CaptionScores;
  readonly answers: AnswerScores;
  readonly gates: readonly Gate[];
  readonly wrongCaptions: readonly {
    readonly index: number;
    readonly truth: string;
    readonly said: string;
  }[];
}

export interface EvaluateOptions {
  readonly seed: number;
  readonly scenes: number;
  readonly gates: GateSet;
  /** Pictures in flight at once. */
  readonly parallel?: number;
  readonly progress?: (done: number) => void;
}

export async function evaluate(
  ask: Ask,
  drawings: Drawings,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const exam = writeExam(options.seed, options.scenes, drawings.styles);
  const captioned: (readonly [Scene, string])[] = [];
  const answered: (readonly [Question, string])[][] = [];
  let next = 0;
  let done = 0;
  const sit = async (): Promise<void> => {
    for (let index = next++; index < exam.length; index = next++) {
      const item = exam[index];
      if (item === undefined) return;
      const png = await pictureOf(item.scene, drawings);
      captioned[index] = [item.scene, await ask.caption(png)];
      const answers = await ask.answer(
        png,
        item.questions.map(({ question }) => question),
      );
      answered[index] = item.questions.map(
        (question, at) => [question, answers[at] ?? ""] as const,
      );
      options.progress?.(++done);
    }
  };
  await Promise.all(Array.from({ length: options.parallel ?? 2 }, sit));

  const captions = scoreCaptions(captioned);
  const answers = scoreAnswers(answered.flat());
  return {
    seed: options.seed,
    scenes: options.scenes,
    styles: drawings.styles,
    captions,
    answers,
    gates: checkGates(captions, answers, options.gates),
    wrongCaptions: exam.flatMap(({ caption }, index) => {
      const pair = captioned[index];
      if (pair === undefined || scoreCaptions([pair]).wholeCaption.right === 1) return [];
      return [{ index, truth: caption, said: pair[1] }];
    }),
  };
}
