import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { altText } from "./alt-text.ts";

test.each([
  ["an image of a cat on a mat", "A cat on a mat"],
  ["this is a picture of two dogs", "Two dogs"],
  ["a close up photo of a photo of a flower", "A flower"],
  ["A black and white photograph showing the harbour.", "The harbour"],
  ["there is an image of an image", "An image"],
  ["a drawing of a house", "A drawing of a house"],
  ["a picture frame on a wall", "A picture frame on a wall"],
  ["a cat a cat a cat on a mat", "A cat on a mat"],
  ["a red ball and a red ball and a red ball", "A red ball"],
  ["a dog, a dog, a dog, a dog and a cat", "A dog, and a cat"],
  ["two dogs and two cats", "Two dogs and two cats"],
  ["the man is the man is the man is happy", "The man is happy"],
  ["  a\tboat \n on  water, ", "A boat on water"],
  ["A NEON SIGN", "A neon sign"],
  ["an iPhone next to a MacBook", "An iPhone next to a MacBook"],
  ["écluse", "Écluse"],
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

  test("characters are counted, not code units", () => {
    expect(altText("🎈".repeat(20), { maxLength: 20 })).toBe("🎈".repeat(20));
  });
});

test("a site's own words stand instead of the model's, as whole words and as they are written", () => {
  const glossary = [
    { from: "cell phone", to: "Fairphone" },
    { from: "cat", to: "$& cat" },
    { from: " ", to: "nothing" },
  ];
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
      const said = alt.toLowerCase().split(/[ ,.]+/);
      for (let at = 1; at < said.length; at++) {
        expect(said[at], alt).not.toBe(said[at - 1]);
      }
    }),
    { numRuns: 300 },
  );
});
