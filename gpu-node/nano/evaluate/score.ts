// Scores what was said of the exam's pictures. Pure arithmetic over strings.

import type { Question, QuestionKind } from "../scenes/questions.ts";
import { questionKinds } from "../scenes/questions.ts";
import type { Scene } from "../scenes/scene.ts";
import { parseCaption } from "./parse-caption.ts";

/** A share with the number that it is a share of. */
export interface Share {
  readonly right: number;
  readonly of: number;
}

export interface CaptionScores {
  readonly objectRecall: Share;
  readonly objectPrecision: Share;
  /** Of the things that a caption must name a colour of, and whose noun it named. */
  readonly colour: Share;
  readonly background: Share;
  readonly nounAndCount: Share;
  readonly wholeCaption: Share;
}

export interface KindScore extends Share {
  readonly kind: QuestionKind;
  /** What always giving the kind's most frequent answer would score. */
  readonly blind: number;
}

export interface AnswerScores {
  readonly all: Share;
  readonly byKind: readonly KindScore[];
}

export const ratio = ({ right, of }: Share): number => (of === 0 ? 1 : right / of);

class Tally {
  right = 0;
  of = 0;
  add(right: boolean): void {
    this.of++;
    if (right) this.right++;
  }
}

export function scoreCaptions(
  pairs: readonly (readonly [scene: Scene, caption: string])[],
): CaptionScores {
  const scores = {
    objectRecall: new Tally(),
    objectPrecision: new Tally(),
    colour: new Tally(),
    background: new Tally(),
    nounAndCount: new Tally(),
    wholeCaption: new Tally(),
  };
  for (const [scene, caption] of pairs) {
    const parsed = parseCaption(caption);
    const said = new Map<string, { count: number; colours: (string | null)[] }>();
    for (const { noun, colour, count } of parsed.groups) {
      const entry = said.get(noun) ?? { count: 0, colours: [] };
      said.set(noun, { count: entry.count + count, colours: [...entry.colours, colour] });
    }

    let whole = parsed.unknown.length === 0 && said.size === scene.groups.length;
    for (const group of scene.groups) {
      const heard = said.get(group.noun);
      const colourRight = heard?.colours.every((colour) => colour === group.colour) ?? false;
      const countRight = heard?.count === group.objects.length;
      scores.objectRecall.add(heard !== undefined);
      scores.nounAndCount.add(countRight);
      if (group.colour !== null && heard !== undefined) scores.colour.add(colourRight);
      whole &&= colourRight && countRight;
    }
    const present = new Set(scene.groups.map((group) => group.noun));
    for (const noun of said.keys()) scores.objectPrecision.add(present.has(noun));
    for (const _ of parsed.unknown) scores.objectPrecision.add(false);
    const backgroundRight = parsed.background === scene.background.colour;
    scores.background.add(backgroundRight);
    scores.wholeCaption.add(whole && backgroundRight);
  }
  return scores;
}

export function scoreAnswers(
  pairs: readonly (readonly [question: Question, answer: string])[],
): AnswerScores {
  const byKind = questionKinds.flatMap((kind): KindScore[] => {
    const asked = pairs.filter(([question]) => question.kind === kind);
    if (asked.length === 0) return [];
    const frequency = new Map<string, number>();
    for (const [{ answer }] of asked) frequency.set(answer, (frequency.get(answer) ?? 0) + 1);
    return [
      {
        kind,
        right: asked.filter(([{ answer }, said]) => plain(said) === answer).length,
        of: asked.length,
        blind: Math.max(...frequency.values()) / asked.length,
      },
    ];
  });
  const all = { right: byKind.reduce((sum, { right }) => sum + right, 0), of: pairs.length };
  return { all, byKind };
}

const plain = (text: string): string => text.trim().toLowerCase().replace(/\.$/, "");
