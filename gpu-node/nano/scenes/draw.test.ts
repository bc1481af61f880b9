import { expect, test } from "vitest";
import { composeScene } from "./compose.ts";
import { drawScene } from "./draw.ts";
import { openDrawings } from "./drawings.ts";
import { createRandom } from "./random.ts";
import type { Scene } from "./scene.ts";
import { objectsOf } from "./scene.ts";
import { colourValues } from "./vocabulary.ts";

const styles = { noto: 1, "fluent-emoji-flat": 1 };

test("the same scene gives the same bytes, whatever was drawn before", async () => {
  const scene = composeScene(createRandom(3, 1), styles);
  const fresh = await drawScene(scene, 112, await openDrawings());
  const used = await openDrawings();
  await drawScene(composeScene(createRandom(3, 2), styles), 112, used);
  expect(await drawScene(scene, 112, used)).toEqual(fresh);
});

test("a shape is its colour at its place, the rest is background", async () => {
  const scene: Scene = {
    background: { colour: "blue", texture: "solid", seed: 1 },
    groups: [
      {
        noun: "square",
        colour: "red",
        objects: [
          {
            noun: "square",
            colour: "red",
            style: "",
            slug: "",
            x: 0.3,
            y: 0.7,
            size: 0.3,
            angleDegrees: 0,
            mirrored: false,
          },
        ],
      },
    ],
  };
  const { data } = await drawScene(scene, 100, await openDrawings());
  const pixel = (x: number, y: number) => [
    ...data.subarray((y * 100 + x) * 3, (y * 100 + x) * 3 + 3),
  ];
  expect(pixel(30, 70)).toEqual([...colourValues.red]);
  for (const [channel, value] of pixel(70, 30).entries()) {
    expect(Math.abs(value - (colourValues.blue[channel] ?? 0))).toBeLessThanOrEqual(12);
  }
});

test("every object of a scene can be seen", async () => {
  const drawings = await openDrawings();
  const side = 96;
  for (let index = 0; index < 60; index++) {
    const scene = composeScene(createRandom(21, index), styles);
    const bare = await drawScene({ ...scene, groups: [] }, side, drawings);
    const full = await drawScene(scene, side, drawings);
    for (const object of objectsOf(scene)) {
      const reach = object.size / 2;
      let changed = 0;
      let all = 0;
      for (let y = Math.ceil((object.y - reach) * side); y < (object.y + reach) * side; y++) {
        for (let x = Math.ceil((object.x - reach) * side); x < (object.x + reach) * side; x++) {
          if (x < 0 || y < 0 || x >= side || y >= side) continue;
          const at = (y * side + x) * 3;
          const distance = [0, 1, 2].reduce(
            (sum, c) => sum + Math.abs((full.data[at + c] ?? 0) - (bare.data[at + c] ?? 0)),
            0,
          );
          all++;
          if (distance > 40) changed++;
        }
      }
      expect(changed / all, `${object.noun} in scene ${index}`).toBeGreaterThan(0.08);
    }
  }
});
