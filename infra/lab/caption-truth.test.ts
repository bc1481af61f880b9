import { expect, test } from "vitest";
import type { Scene } from "../../gpu-node/nano/scenes/scene.ts";
import type { Colour } from "../../gpu-node/nano/scenes/vocabulary.ts";
import { isTrue } from "./caption-truth.ts";

function scene(
  background: Colour,
  ...groups: readonly (readonly [noun: string, colour: Colour | null, count: number])[]
): Scene {
  const thing = {
    style: "s",
    slug: "s",
    x: 0.5,
    y: 0.5,
    size: 0.3,
    angleDegrees: 0,
    mirrored: false,
  };
  return {
    background: { colour: background, texture: "solid", seed: 1 },
    groups: groups.map(([noun, colour, count]) => ({
      ...{ noun, colour },
      objects: Array.from({ length: count }, () => ({ noun, colour, ...thing })),
    })),
  };
}
const owls = scene("pink", ["owl", null, 2], ["lion", null, 1]);
const balloons = scene("red", ["balloon", "blue", 3], ["owl", null, 1]);

test.each([
  ["two owls and a lion on a pink background", true],
  ["two owls on a pink background", true],
  ["two owls", true],
  ["three owls on a pink background", false],
  ["two owls and a lion on a red background", false],
  ["two owls and a cake on a pink background", false],
  ["two blue owls on a pink background", false],
  ["two gizmos on a pink background", false],
  ["", false],
])("%j of two owls and a lion on pink: %j", (caption, truth) => {
  expect(isTrue(caption, [owls])).toBe(truth);
});

test.each([
  ["three blue balloons on a red background", true],
  ["two owls on a red background", true],
  ["an owl on a pink background", true],
  ["three owls on a red background", true],
  ["four owls on a red background", false],
  ["three red balloons", false],
])("%j of both on one sheet: %j", (caption, truth) => {
  expect(isTrue(caption, [owls, balloons])).toBe(truth);
});

test("of nothing nothing is true", () => {
  expect(isTrue("an owl on a pink background", [scene("pink")])).toBe(false);
});
