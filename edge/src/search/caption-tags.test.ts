import fc from "fast-check";
import { expect, test } from "vitest";
import { captionTags } from "./caption-tags.ts";

test.each([
  ["two owls and a lion on a pink background", ["owl", "lion", "pink background", "background"]],
  ["a man riding a wave on top of a surfboard", ["man", "wave", "surfboard"]],
  ["a group of people standing around a table with food", ["person", "table", "food"]],
  ["a red bus parked next to a brick building", ["red bus", "bus", "brick building", "building"]],
  ["two glasses, three mice; a cup of coffee", ["glass", "mouse", "cup", "coffee"]],
  ["two shoes, cookies, taxis and snowmen", ["shoe", "cookie", "taxi", "snowman"]],
  ["A DOG'S BED", ["dog bed", "bed"]],
  ["", []],
  ["the 3 of them", []],
])("%s", (caption, tags) => {
  expect(captionTags(caption)).toEqual(tags);
});

test("whatever a caption is: short, no tag twice, nothing but what it says", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 400 }), (caption) => {
      const tags = captionTags(caption);
      expect(tags.length).toBeLessThanOrEqual(20);
      expect(new Set(tags).size).toBe(tags.length);
      for (const tag of tags) expect(tag.length).toBeLessThanOrEqual(64);
      expect(tags).not.toContain("");
    }),
  );
});
