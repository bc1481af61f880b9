import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { altText } from "./alt-text.ts";

test.each([
  ["an image of a cat on a mat", "A cat on a mat"],
  ["this is a picture of two dogs", "Two dogs"],
  ["a close up photo of a photo of a flower", "A flower"],
  ["A black and white photograph showing the harbour.", "The harbour"],
  ["there is an image of an image", "An image"],
  ["a close up of a cat", "A cat"],
  ["a close-up view of a bee on a flower", "A bee on a flower"],
  ["this image shows a closeup picture of a coin", "A coin"],
  ["The photo features a man, photo of a man", "A man, photo of a man"],
  ["in this picture, we can see a tower", "A tower"],
  ["an up-close, grainy photo taken of the moon", "The moon"],
  ["Image: a barn", "A barn"],
  ["a photo of", ""],
  ["- an image of a cat", "A cat"],
  ["a cat looking at a picture of a dog", "A cat looking at a picture of a dog"],
  ["a drawing of a house", "A drawing of a house"],
  ["a picture frame on a wall", "A picture frame on a wall"],
  ["a cat a cat a cat on a mat", "A cat on a mat"],
  ["a red ball and a red ball and a red ball", "A red ball"],
  ["a dog, a dog, a dog, a dog and a cat", "A dog, and a cat"],
  ["two dogs and two cats", "Two dogs and two cats"],
  ["the man is the man is the man is happy", "The man is happy"],
  ["a red tuk tuk and a red tuk tuk on a road", "A red tuk tuk on a road"],
  ["a tuk tuk tuk tuk", "A tuk tuk"],
  ["a cat on a mat on a mat on a mat", "A cat on a mat"],
  ["  a\tboat \n on  water, ", "A boat on water"],
  ["A NEON SIGN", "A neon sign"],
  ["STOP", "STOP"],
  ["A TV", "A TV"],
  ["iPhone on a desk", "iPhone on a desk"],
  ["an iPhone next to a MacBook", "An iPhone next to a MacBook"],
  ["écluse", "Écluse"],
  ["a \u202egod\u202c and \u{e0041}a 👩‍🚀", "A god and a 👩‍🚀"],
  ["", ""],
  [" ... ", ""],
])("%j becomes %j", (caption, alt) => {
  expect(altText(caption)).toBe(alt);
});

describe("length", () => {
  test("it is cut between words, and never ends with a word that wants another", () => {
    const caption = "a man in a hat is standing on a bridge over the river with a dog";
    expect(altText(caption, { maxLength: 40 })).toBe("A man in a hat is standing on a bridge");
    expect(altText(caption, { maxLength: 30 })).toBe("A man in a hat is standing");
    expect(altText(caption, { maxLength: 22 })).toBe("A man in a hat");
  });

  test("one word that is longer than all is cut within", () => {
    expect(altText("x".repeat(30), { maxLength: 20 })).toBe(`X${"x".repeat(19)}`);
  });

  test("so is one behind words that say nothing by themselves", () => {
    expect(altText(`a ${"x".repeat(30)}`, { maxLength: 20 })).toBe(`A ${"x".repeat(18)}`);
  });

  test("characters are counted, not code units, and none is cut in two as it is read", () => {
    expect(altText("🎈".repeat(20), { maxLength: 20 })).toBe("🎈".repeat(20));
    // Three code points each.
    expect(altText("👩‍🚀".repeat(9), { maxLength: 20 })).toBe("👩‍🚀".repeat(6));
  });

  test("of a model that was stopped the words that want another go too", () => {
    const caption = "a man standing in front of a";
    expect(altText(caption, { isUnfinished: true })).toBe("A man standing");
    expect(altText(caption)).toBe("A man standing in front of a");
    expect(altText("the light is on")).toBe("The light is on");
  });
});

test("a site's own words stand instead of the model's, as whole words and as they are written", () => {
  const glossary = [
    { from: "cell phone", to: "Fairphone" },
    { from: "cat", to: "$& cat" },
    { from: " ", to: "nothing" },
    { from: "car", to: "BMW" },
  ];
  expect(altText("A RED CAR", { glossary })).toBe("A red BMW");
  expect(altText("a Cell Phone beside a cat in a category", { glossary })).toBe(
    "A Fairphone beside a $& cat in a category",
  );
});

const caption = fc.array(
  fc.constantFrom(
    ..."a an image of photo the cat dog and red, on with Two".split(" "),
    "ünï",
    "🎈",
  ),
  { maxLength: 40 },
);

test("whatever the model says: short enough, no preamble, no word twice in a row", () => {
  fc.assert(
    fc.property(caption, fc.integer({ min: 20, max: 140 }), (words, maxLength) => {
      const text = words.join(" ");
      const alt = altText(text, { maxLength });
      expect(Array.from(alt).length).toBeLessThanOrEqual(maxLength);
      expect(alt).toBe(alt.trim());
      expect(alt).not.toMatch(/^(an? )?(image|photo) of \S/i);
      // What is fit for use stays as it is.
      expect(altText(alt, { maxLength })).toBe(alt);
      const said = alt.toLowerCase().split(/[ ,.]+/);
      for (let at = 1; at < said.length; at++) {
        expect(said[at], alt).not.toBe(said[at - 1]);
      }
    }),
    { numRuns: 300 },
  );
});

test("of any text at all: short enough, and made of whole characters of it", () => {
  const anything = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(anything, fc.integer({ min: 20, max: 60 }), (text, maxLength) => {
      const alt = altText(text, { maxLength });
      expect(Array.from(alt).length).toBeLessThanOrEqual(maxLength);
      expect(alt.isWellFormed()).toBe(true);
      // One word, without case: nothing but its end may go.
      const word = text.replaceAll(/[\p{L}\p{P}\p{Z}\p{C}\s]/gu, "") + "🎈".repeat(60);
      const cut = altText(word, { maxLength });
      const seen = Array.from(new Intl.Segmenter("en").segment(word), ({ segment }) => segment);
      const kept = Array.from(new Intl.Segmenter("en").segment(cut), ({ segment }) => segment);
      expect(seen.slice(0, kept.length)).toEqual(kept);
    }),
    { numRuns: 300 },
  );
});
