// The order of the questions that a model is asked, on a scripted one; recalls are compared with LAVIS's code in
// test/golden/evaluate.
import { expect, test } from "vitest";
import { compareRetrieval, type Comparer, type Matched } from "./compare-retrieval.ts";

/** Three pictures at 0, 90 and 180 degrees; a text of each, and a second of the first near the second. */
const at = (degrees: number): Float32Array => {
  const angle = (degrees * Math.PI) / 180;
  return Float32Array.of(Math.cos(angle), Math.sin(angle));
};
const pictures = [0, 90, 180];
const texts = [5, 95, 170, 80];
const set = { pictures: 3, pictureOf: [0, 1, 2, 0] };

function scripted(logit: (picture: number, text: number) => number) {
  const pairs: string[] = [];
  const comparer: Comparer = {
    embedPicture: async (picture) => at(pictures[picture]!),
    embedTexts: async (places) => places.map((place) => at(texts[place]!)),
    async matchLogits(picture, places) {
      for (const place of places) pairs.push(`${picture}-${place}`);
      return places.map((place) => logit(picture, place));
    },
  };
  return { comparer, pairs };
}

test("without ITM the cosines decide and nothing is matched", async () => {
  const { comparer, pairs } = scripted(() => 0);
  const { itc, itm, ranks } = await compareRetrieval(set, comparer, { kTest: 0 });
  expect(itm).toBeNull();
  expect(pairs).toEqual([]);
  expect(ranks.itc.textToImage).toEqual([0, 0, 0, 1]);
  expect(ranks.itc.imageToText).toEqual([0, 0, 0]);
  expect(itc.textToImage["R@1"].value).toBe(0.75);
});

test("ITM's logit is added to the cosine of each candidate; a pair is matched once", async () => {
  // It takes the fourth text for what it is.
  const { comparer, pairs } = scripted((picture, text) => (picture === 0 && text === 3 ? 5 : 0));
  const { ranks } = await compareRetrieval(set, comparer, { kTest: 2 });
  expect(new Set(pairs).size).toBe(pairs.length);
  expect(ranks.itm?.textToImage).toEqual([0, 0, 0, 0]);
  expect(ranks.itm?.imageToText).toEqual([0, 0, 0]);
});

test("what ITC left out of the candidates stays out, however well it would match", async () => {
  const { comparer } = scripted((picture, text) => (picture === 0 && text === 3 ? 50 : 0));
  const { ranks } = await compareRetrieval(set, comparer, { kTest: 1 });
  // All three are equal at -100 but the one candidate: the worst place.
  expect(ranks.itm?.textToImage[3]).toBe(2);
});

test("what was matched before is not matched again, unless the candidates are others", async () => {
  const first = scripted((picture, text) => picture - text);
  const found: Matched[] = [];
  const onMatched = async (matched: Matched): Promise<void> => void found.push(matched);
  const whole = await compareRetrieval(set, first.comparer, { kTest: 2, onMatched });

  const known = new Map(found.slice(0, 2).map((matched) => [matched.picture, matched]));
  const second = scripted((picture, text) => picture - text);
  const again = await compareRetrieval(set, second.comparer, { kTest: 2, known });
  expect(again).toEqual(whole);
  expect(second.pairs.every((pair) => pair.startsWith("2-"))).toBe(true);

  const other = scripted((picture, text) => picture - text);
  await compareRetrieval(set, other.comparer, { kTest: 1, known });
  expect(other.pairs.some((pair) => pair.startsWith("0-"))).toBe(true);
});
