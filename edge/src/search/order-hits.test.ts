import { expect, test } from "vitest";
import { amongPictures, orderHits, reordered } from "./order-hits.ts";
import type { Ranked } from "./image-index.ts";

const hit = (id: string, scores: Ranked["scores"]): Ranked => ({
  id,
  imageId: `img_${id}`,
  told: false,
  scores,
});
const records = [
  hit("a", { text_mean: 0.9, itc: 0.2, image: 0.8 }),
  hit("b", { text_mean: 0.5, itc: 0.6, image: 0.1, full_text: 3 }),
  hit("c", { text_mean: 0.1, itc: 0.4, image: -0.2 }),
];
const idsOf = (hits: readonly { readonly id: string }[]) => hits.map(({ id }) => id).join("");
const text = { text: true, image: false, hybrid: false, maxSimilarity: true };
const facts = { words: 1, vector: [] };
const curve = { slope: 10, intercept: -5, min_score: 0.5 };

test("one way of asking orders by its own score, the last stage's", () => {
  expect(idsOf(orderHits(records, text, undefined))).toBe("bca");
  expect(idsOf(orderHits(records, { ...text, maxSimilarity: false }, undefined))).toBe("abc");
  const image = { ...text, text: false, image: true };
  const byImage = orderHits(records, image, { itc: curve, facts });
  expect(byImage.map(({ id, score, decidedBy }) => [id, score, decidedBy])).toEqual([
    ["a", 0.8, "max_similarity"],
    ["b", 0.1, "max_similarity"],
    // A likeness below nothing is none.
    ["c", 0, "max_similarity"],
  ]);
});

test("several ways are fused by ranks, and worth what the text says", () => {
  const both = orderHits(records, { ...text, image: true, hybrid: true }, { itc: curve, facts });
  expect(idsOf(both)).toBe("bac");
  expect(new Set(both.map(({ decidedBy }) => decidedBy))).toEqual(new Set(["fusion"]));
  expect(both[0]?.score).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
});

test("a text that says more is worth what its own curve says", () => {
  const long = {
    itc: { ...curve, log_words: -2, text: [1, -3] },
    facts: { words: 7, vector: [0.5, 0.25] },
  };
  const [first] = orderHits(records, text, long);
  expect(first?.score).toBeCloseTo(
    1 / (1 + Math.exp(-(10 * 0.6 - 5 - 2 * Math.log(7) + 0.5 - 0.75))),
    6,
  );
  expect(idsOf(orderHits(records, text, long))).toBe("bca");
});

test("ITM puts the first in its order; whom it could not see follows them", () => {
  const hits = orderHits(records, text, { itc: curve, itm: curve, facts });
  const judged = new Map([
    ["img_b", 0.3],
    ["img_a", 0.9],
  ]);
  const all = reordered(hits, 3, judged, { itc: curve, itm: curve, facts });
  expect(all.map(({ id, decidedBy }) => [id, decidedBy])).toEqual([
    ["a", "itm"],
    ["b", "itm"],
    ["c", "max_similarity"],
  ]);
  expect(all[0]?.score).toBeCloseTo(1 / (1 + Math.exp(-4)), 6);
  // One that was judged and is not among the first stays where it was.
  expect(idsOf(reordered(hits, 1, judged, undefined))).toBe("bca");
});

test("among fewer pictures than it was measured with a score is worth more, among more less", () => {
  const calibration = { pictures: 1000, itc: curve, label: curve };
  const of = (pictures: number) => amongPictures(calibration, pictures).itc?.intercept ?? NaN;
  expect(of(1000)).toBe(-5);
  expect(of(10)).toBeCloseTo(-5 + 0.5 * Math.log(100), 9);
  expect(of(100_000)).toBeCloseTo(-5 - 0.5 * Math.log(100), 9);
  // A label is true of a picture whatever else there is.
  expect(amongPictures(calibration, 10).label).toEqual(curve);
  expect(amongPictures({ itc: curve }, 10).itc).toEqual(curve);
});
