// The metrics against the code that published figures were made with; make.py says which and how.
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { addBleuCounts, bleuOf, bleuSums, countBleu } from "../../../gpu-node/src/evaluate/bleu.ts";
import { ciderOf } from "../../../gpu-node/src/evaluate/cider.ts";
import { compareRetrieval } from "../../../gpu-node/src/evaluate/compare-retrieval.ts";
import { lavisCaption, lavisQuestion } from "../../../gpu-node/src/evaluate/lavis-text.ts";
import type { Recalls } from "../../../gpu-node/src/evaluate/recall.ts";
import { rougeLOf } from "../../../gpu-node/src/evaluate/rouge-l.ts";
import { tokenizeCaption } from "../../../gpu-node/src/evaluate/tokenize-caption.ts";
import { vqaAccuracy } from "../../../gpu-node/src/evaluate/vqa-accuracy.ts";

interface CaptionCase {
  readonly kind: string;
  readonly items: readonly (readonly [candidate: string, ...references: string[]])[];
  readonly bleu: readonly number[];
  readonly cider: readonly (number | null)[];
  readonly rouge: readonly number[];
  readonly sacrebleu: readonly number[];
  readonly nltk: readonly number[];
}
interface RetrievalCase {
  readonly k: number;
  readonly pictureOf: readonly number[];
  readonly queries: readonly (readonly number[])[];
  readonly vectors: readonly (readonly number[])[];
  readonly logits: readonly (readonly number[])[];
  readonly itc: readonly number[];
  readonly itm: readonly number[];
}
const golden = JSON.parse(
  await readFile(new URL("golden.json", import.meta.url), "utf8"),
) as unknown as {
  readonly captions: readonly CaptionCase[];
  readonly tokens: readonly (readonly [text: string, words: readonly string[]])[];
  readonly answers: readonly (readonly [
    said: string,
    people: readonly string[],
    official: number,
    lavis: number,
  ])[];
  readonly texts: readonly (readonly [text: string, caption: string, question: string])[];
  readonly retrieval: readonly RetrievalCase[];
};

const corpora = golden.captions.map((given) => ({
  ...given,
  texts: given.items.map(([candidate, ...references]) => ({
    candidate: candidate.split(" "),
    references: references.map((reference) => reference.split(" ")),
  })),
}));
function ourBleu({ texts }: (typeof corpora)[number]) {
  const sums = bleuSums();
  for (const { candidate, references } of texts) {
    addBleuCounts(sums, countBleu(candidate, references));
  }
  return { bleu: bleuOf(sums), correct: sums.slice(-4) };
}
const near = (ours: number, theirs: number, relative: number): void =>
  expect(Math.abs(ours - theirs)).toBeLessThanOrEqual(relative * Math.max(Math.abs(theirs), 1e-12));

describe("captions", () => {
  test("BLEU-1 to BLEU-4 are coco-caption's", () => {
    for (const corpus of corpora) {
      ourBleu(corpus).bleu.forEach((value, at) => near(value, corpus.bleu[at]!, 1e-12));
    }
  });

  test("and sacrebleu's and nltk's wherever an n-gram of each order is found", () => {
    let [withSacre, withNltk, without] = [0, 0, 0];
    for (const corpus of corpora) {
      const { bleu, correct } = ourBleu(corpus);
      const shortest = Math.min(...corpus.texts.map(({ candidate }) => candidate.length));
      bleu.forEach((value, at) => {
        if (correct[at] === 0) {
          // Unsmoothed it is nothing; coco-caption's small numbers leave next to nothing.
          expect(corpus.sacrebleu[at]).toBe(0);
          expect(value).toBeLessThan(1e-3);
          without += 1;
          return;
        }
        near(value, corpus.sacrebleu[at]!, 1e-8);
        withSacre += 1;
        // nltk counts one n-gram for a caption that is too short to have any.
        if (shortest <= at) return;
        near(value, corpus.nltk[at]!, 1e-8);
        withNltk += 1;
      });
    }
    expect({ withSacre, withNltk, without }).toEqual({ withSacre: 195, withNltk: 95, without: 49 });
  });

  test("CIDEr-D of each caption is coco-caption's", () => {
    let compared = 0;
    for (const { texts, cider } of corpora) {
      ciderOf(texts).forEach((value, at) => {
        near(value, cider[at] ?? 0, 1e-9);
        compared += 1;
      });
    }
    expect(compared).toBe(351);
  });

  test("ROUGE-L of each caption is coco-caption's", () => {
    for (const { texts, rouge } of corpora) {
      texts.forEach(({ candidate, references }, at) =>
        near(rougeLOf(candidate, references), rouge[at]!, 1e-12),
      );
    }
  });

  test.each(golden.tokens)("words of %j are nltk's Treebank words", (text, words) => {
    expect(tokenizeCaption(text)).toEqual(words);
  });
});

describe("answers", () => {
  test("accuracy is that of VQA v2's evaluation and, by its own rules, LAVIS's", () => {
    for (const [said, people, official, lavis] of golden.answers) {
      const about = JSON.stringify([said, people]);
      expect(vqaAccuracy(said, people, "official"), about).toBeCloseTo(official, 9);
      expect(vqaAccuracy(said, people, "lavis"), about).toBeCloseTo(lavis, 9);
    }
  });
});

test.each(golden.texts)(
  "LAVIS hands %j to the model in the same form",
  (text, caption, question) => {
    expect(lavisCaption(text)).toBe(caption);
    expect(lavisQuestion(text)).toBe(question);
  },
);

describe("retrieval", () => {
  const flat = ({ imageToText, textToImage }: Record<"imageToText" | "textToImage", Recalls>) =>
    [imageToText, textToImage].flatMap((found) =>
      [found["R@1"], found["R@5"], found["R@10"]].map(({ value }) => value),
    );

  test.each(golden.retrieval)("recalls by ITC and after ITM, k $k", async (given) => {
    const result = await compareRetrieval(
      { pictures: given.queries.length, pictureOf: given.pictureOf },
      {
        embedPicture: async (picture) => Float32Array.from(given.queries[picture]!),
        embedTexts: async (texts) => texts.map((text) => Float32Array.from(given.vectors[text]!)),
        matchLogits: async (picture, texts) => texts.map((text) => given.logits[picture]![text]!),
      },
      { kTest: given.k },
    );
    const close = (values: readonly number[]) =>
      values.map((value) => expect.closeTo(value, 9) as number);
    expect(flat(result.itc)).toEqual(close(given.itc));
    expect(flat(result.itm!)).toEqual(close(given.itm));
  });
});
