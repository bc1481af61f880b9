// Backgrounds: one of eleven colours, plain, shaded from side to side, cloudy or grainy.
// The shade stays near its colour, so that the colour's name stays true.

import type { Random } from "./random.ts";
import { createRandom } from "./random.ts";
import type { Scene } from "./scene.ts";
import { colourValues } from "./vocabulary.ts";

/** side × side × 3 floats, about 0..255. */
export function paintBackground(background: Scene["background"], side: number): Float32Array {
  const random = createRandom(background.seed);
  const base = colourValues[background.colour].map((value) => value + random.between(-12, 12));
  const shade = shadeOf(background.texture, side, random);
  const out = new Float32Array(side * side * 3);
  for (let pixel = 0; pixel < side * side; pixel++) {
    for (let c = 0; c < 3; c++) out[pixel * 3 + c] = base[c]! + shade(pixel, c);
  }
  return out;
}

type Shade = (pixel: number, channel: number) => number;

function shadeOf(texture: Scene["background"]["texture"], side: number, random: Random): Shade {
  switch (texture) {
    case "solid":
      return () => 0;
    case "gradient": {
      const angle = random.between(0, 2 * Math.PI);
      const strength = random.between(20, 45);
      const alongX = (Math.cos(angle) * strength * 2) / side;
      const alongY = (Math.sin(angle) * strength * 2) / side;
      return (pixel) =>
        ((pixel % side) - side / 2) * alongX + (Math.floor(pixel / side) - side / 2) * alongY;
    }
    case "noise": {
      const cells = 4 + random.below(25);
      const strength = random.between(10, 26);
      const grid = Float32Array.from({ length: (cells + 1) ** 2 }, () =>
        random.between(-strength, strength),
      );
      return (pixel) =>
        bilinear(grid, cells, (pixel % side) / side, Math.floor(pixel / side) / side);
    }
    case "grain": {
      const strength = random.between(6, 16);
      const grain = new Float32Array(side * side * 3);
      for (let at = 0; at < grain.length; at++)
        grain[at] = (random.next() + random.next() - 1) * 1.7 * strength;
      return (pixel, channel) => grain[pixel * 3 + channel]!;
    }
  }
}

/** `x` and `y` in [0, 1) over a grid of (cells + 1)² knots. */
function bilinear(grid: Float32Array, cells: number, x: number, y: number): number {
  const column = Math.floor(x * cells);
  const row = Math.floor(y * cells);
  const fx = x * cells - column;
  const fy = y * cells - row;
  const at = row * (cells + 1) + column;
  const top = grid[at]! * (1 - fx) + grid[at + 1]! * fx;
  const bottom = grid[at + cells + 1]! * (1 - fx) + grid[at + cells + 2]! * fx;
  return top * (1 - fy) + bottom * fy;
}
