import { expect, test } from "vitest";
import type { Mix } from "./compose.ts";
import { composeScene } from "./compose.ts";
import { createRandom } from "./random.ts";
import { objectsOf } from "./scene.ts";
import { invisiblePairs } from "./vocabulary.ts";

const styles = { noto: 1, "fluent-emoji-flat": 1 };
const scenesOf = (mix: Mix) =>
  Array.from({ length: 400 }, (_, index) => composeScene(createRandom(7, index), styles, mix));

test("the same seed composes the same scene, another seed another", () => {
  const [one, again, other] = [7, 7, 8].map((seed) =>
    JSON.stringify(composeScene(createRandom(seed), styles)),
  );
  expect(again).toBe(one);
  expect(other).not.toBe(one);
});

test.each<Mix>(["mixed", "counting", "pairs", "crowded"])(
  "%s scenes keep the world's rules",
  (mix) => {
    for (const scene of scenesOf(mix)) {
      const objects = objectsOf(scene);
      expect(objects.length).toBeLessThanOrEqual(4);
      expect(scene.groups.length).toBeLessThanOrEqual(3);
      expect(new Set(scene.groups.map((group) => group.noun)).size).toBe(scene.groups.length);
      for (const object of objects) {
        expect(object.size).toBeGreaterThanOrEqual(0.23);
        expect(object.size).toBeLessThanOrEqual(0.72);
        expect(Math.abs(object.angleDegrees)).toBeLessThanOrEqual(20);
        // The middle 92 % of the turned box is inside; drawings leave their corners empty.
        for (const at of [object.x, object.y]) {
          expect(Math.min(at, 1 - at)).toBeGreaterThanOrEqual((object.size / 2) * 0.92);
        }
        expect(object.colour).not.toBe(scene.background.colour);
        if (object.colour === null)
          expect(invisiblePairs).not.toContainEqual([object.noun, scene.background.colour]);
      }
      objects.forEach((one, index) => {
        for (const other of objects.slice(0, index)) {
          expect(Math.hypot(one.x - other.x, one.y - other.y)).toBeGreaterThan(
            (one.size + other.size) * 0.45,
          );
        }
      });
    }
  },
);

test("the mixed world is as wide as it says", () => {
  const scenes = scenesOf("mixed");
  const sizes = scenes.flatMap(objectsOf).map((object) => object.size);
  expect(Math.min(...sizes)).toBeLessThan(0.25);
  expect(Math.max(...sizes)).toBeGreaterThan(0.68);
  expect(new Set(scenes.map((scene) => scene.groups.length))).toEqual(new Set([1, 2, 3]));
  expect(new Set(scenes.map((scene) => objectsOf(scene).length))).toEqual(new Set([1, 2, 3, 4]));
  expect(new Set(scenes.map((scene) => scene.background.colour)).size).toBe(11);
  expect(new Set(scenes.map((scene) => scene.background.texture)).size).toBe(4);
});
