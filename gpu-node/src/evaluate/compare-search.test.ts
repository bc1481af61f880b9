import { expect, test } from "vitest";
import { compareSearch } from "./compare-search.ts";
import { fitLabels } from "./fit-labels.ts";
import { fitStage, type FoundByText } from "./fit-stage.ts";

/** Pictures and texts are angles; two vectors a picture, one of them astray. */
const vector = (degrees: number): [number, number] => [
  Math.cos((degrees * Math.PI) / 180),
  Math.sin((degrees * Math.PI) / 180),
];
const angles = [0, 30, 60, 90];

test("each stage by its own score, and the best of what does not answer beside it", async () => {
  const looks: number[] = [];
  const judged: number[] = [];
  const model = {
    embedPicture: async (picture: number) => {
      looks.push(picture);
      return Float32Array.from([...vector(angles[picture] ?? 0), ...vector(200)]);
    },
    embedTexts: async (texts: readonly number[]) =>
      texts.map((text) => Float32Array.from(vector([1, 88][text] ?? 0))),
    match: async (picture: number, texts: readonly number[]) =>
      texts.map((text) => (picture === 3 && text === 0 ? 0.9 : picture / 10)),
  };
  const set = { pictures: 4, answers: [new Set([0]), new Set([2, 3])] };
  const [first, second] = await compareSearch(set, model, {
    onJudged: async ({ picture }) => void judged.push(picture),
  });
  expect(first?.itc).toMatchObject({ isRight: true, inTen: true });
  expect(first?.itc.score).toBeCloseTo(Math.cos(Math.PI / 180), 6);
  expect(first?.itc.wrong).toBeCloseTo(Math.cos((29 * Math.PI) / 180), 6);
  // The matching head is wrong about the last picture, and is taken at its word.
  expect(first?.itm).toEqual({ score: 0.9, isRight: false, inTen: true, wrong: 0.9 });
  expect(second?.itm).toMatchObject({ isRight: true, wrong: 0.1 });
  expect(second?.itm.score).toBeCloseTo(0.3, 6);
  expect(second?.itc.isRight).toBe(true);
  // The averages point elsewhere: the stray vector takes its half.
  expect(first?.text_mean.score).not.toBeCloseTo(first?.itc.score ?? NaN, 2);
  expect(looks).toEqual([0, 1, 2, 3]);
  expect(judged).toEqual([0, 1, 2, 3]);
});

test("what an earlier run has judged is not judged again", async () => {
  const asked: number[] = [];
  const model = {
    embedPicture: async (picture: number) => Float32Array.from(vector(angles[picture] ?? 0)),
    embedTexts: async (texts: readonly number[]) => texts.map(() => Float32Array.from(vector(0))),
    match: async (picture: number, texts: readonly number[]) => {
      asked.push(picture);
      return texts.map(() => 0.5);
    },
  };
  const known = new Map([[1, { picture: 1, texts: [0], probabilities: [0.99] }]]);
  const set = { pictures: 4, answers: [new Set([1])] };
  const [only] = await compareSearch(set, model, { known });
  expect(asked).toEqual([0, 2, 3]);
  expect(only?.itm).toEqual({ score: 0.99, isRight: true, inTen: true, wrong: 0.5 });
});

const factsOf = (words: number, vector: readonly number[] = [1, 0]) => ({ words, vector });

test("a cut-off refuses one in thirty of those it was fitted on, and keeps out what lies below", () => {
  const found = Array.from({ length: 240 }, (_, at): FoundByText => {
    const score = 0.7 + (at % 60) / 200;
    return {
      score,
      isRight: true,
      inTen: true,
      wrong: score - 0.35,
      facts: factsOf(3),
      isAnswered: true,
    };
  });
  const { curve, refused, noMatch } = fitStage(found);
  expect(curve.slope).toBeGreaterThan(0);
  expect(curve.min_score).toBeGreaterThan(0);
  expect(refused.value).toBeLessThan(0.07);
  expect(noMatch.value).toBeGreaterThan(0.9);
  // Where all are alike, nothing is read of the text.
  expect([curve.log_words, ...(curve.text ?? [])].map(Math.abs as (x?: number) => number)).toEqual([
    0, 0, 0,
  ]);
  const alone = found.map(({ wrong: _wrong, ...one }): FoundByText => one);
  expect(() => fitStage(alone)).toThrow(RangeError);
});

test("texts that reach higher are not held to what others reach: by their words, by their vectors", () => {
  for (const factsFor of [
    (high: boolean) => factsOf(high ? 10 : 2),
    (high: boolean) => factsOf(3, high ? [0.6, 0.8] : [0.8, 0.6]),
  ]) {
    // The wrong hit of one text scores as the right one of another.
    const found = Array.from({ length: 600 }, (_, at): FoundByText => {
      const high = at % 3 !== 0;
      const score = (high ? 0.8 : 0.6) + (at % 7) / 100;
      return {
        score,
        isRight: true,
        inTen: true,
        wrong: score - 0.18,
        facts: factsFor(high),
        isAnswered: true,
      };
    });
    const { refused, noMatch } = fitStage(found);
    expect(refused.value).toBeLessThan(0.07);
    expect(noMatch.value).toBeGreaterThan(0.97);
  }
});

test("texts that nothing answers are learned from and judged by themselves", () => {
  const found = Array.from({ length: 400 }, (_, at): FoundByText => {
    const isAnswered = at % 4 < 2 ? at % 8 < 4 : at % 8 < 6;
    const facts = factsOf(3, isAnswered ? [0.6, 0.8] : [0.8, 0.6]);
    const score = 0.7 + (at % 5) / 100;
    const about = { isRight: isAnswered, inTen: isAnswered, facts, isAnswered };
    return { ...about, score, wrong: isAnswered ? score - 0.3 : score };
  });
  const { refused, unanswered } = fitStage(found);
  expect(refused.value).toBeLessThan(0.1);
  // They score as the others do: that they are other texts is what tells them apart.
  expect(unanswered?.value).toBeGreaterThan(0.97);
  expect(fitStage(found.filter(({ isAnswered }) => isAnswered)).unanswered).toBeUndefined();
});

test("labels: taken where precision and recall are best together", () => {
  const labels = Array.from({ length: 20 }, (_, label) => {
    const isTrue = Array.from({ length: 60 }, (_, picture) => (picture + label) % 4 === 0);
    // A true label is missed now and then, and a false one looks true.
    const scores = isTrue.map((is, picture) =>
      is ? (picture % 30 < 2 ? 0.2 : 0.8) : (picture + label) % 22 === 2 ? 0.81 : 0.3,
    );
    return { facts: factsOf(2), scores, isTrue };
  });
  const { precision, recall, curve } = fitLabels(labels);
  expect(recall.value).toBeGreaterThan(0.85);
  expect(recall.value).toBeLessThan(1);
  expect(precision.value).toBeGreaterThan(0.75);
  expect(precision.value).toBeLessThan(1);
  expect(curve.min_score).toBeGreaterThan(0);
});
