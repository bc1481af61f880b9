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

test("a cut-off refuses one in thirty of those it was fitted on, and keeps out what lies below", () => {
  const found = Array.from({ length: 240 }, (_, at): FoundByText => {
    const score = 0.7 + (at % 60) / 200;
    return { score, isRight: true, inTen: true, wrong: score - 0.35, words: 3 };
  });
  const { curve, refused, noMatch } = fitStage(found);
  expect(curve.slope).toBeGreaterThan(0);
  expect(curve.min_score).toBeGreaterThan(0);
  expect(refused.value).toBeLessThan(0.07);
  expect(noMatch.value).toBeGreaterThan(0.9);
  expect(curve).not.toHaveProperty("log_words");
  const alone = found.map(({ score, isRight, inTen, words }): FoundByText => ({
    score,
    isRight,
    inTen,
    words,
  }));
  expect(() => fitStage(alone)).toThrow(RangeError);
});

test("texts that say more reach higher, and are not held to what short ones reach", () => {
  // A long text's wrong hit scores as a short one's right one.
  const found = Array.from({ length: 240 }, (_, at): FoundByText => {
    const words = at % 3 === 0 ? 2 : 10;
    const score = (words === 2 ? 0.6 : 0.8) + (at % 7) / 100;
    return { score, isRight: true, inTen: true, wrong: score - 0.18, words };
  });
  const { curve, refused, noMatch } = fitStage(found);
  expect(curve.log_words).toBeLessThan(0);
  expect(refused.value).toBeLessThan(0.07);
  expect(noMatch.value).toBe(1);
});

test("labels: taken where precision and recall are best together", () => {
  const scored = Array.from({ length: 200 }, (_, at) => {
    const isTrue = at % 4 === 0;
    // A true label is missed now and then, and a false one looks true.
    const score = isTrue ? (at % 60 === 0 ? 0.2 : 0.8) : at % 30 === 1 ? 0.81 : 0.3;
    return { picture: Math.floor(at / 4), score, isTrue };
  });
  const { cut, precision, recall, curve } = fitLabels(scored);
  expect(cut).toBe(0.8);
  expect(recall.value).toBeCloseTo(23 / 25, 6);
  expect(precision.value).toBeCloseTo(23 / 27, 6);
  expect(curve.min_score).toBeGreaterThan(0);
});
