// Backgrounds: one of eleven colours, plain, shaded from side to side, cloudy or grainy.
// The shade stays near its colour, so that the colour's name stays true.

import type { Random } from "./random.ts";
import { createRandom } from "./random.ts";
import type { Scene } from "./scene.ts";
import { colourValues } from "./vocabulary.ts";

/** side × side × 3 floats, about 0..255. */
export function paintBackground(background: Scene["background"], side: number): Float32Array {
  const random = createRandom(background.seed);
  const out = new Float32Array(side * side * 3);
  const [red, green, blue] = colourValues[background.colour].map(
    (value) => value + random.between(-12, 12),
  );
  for (let at = 0; at < out.length; at += 3) {
    out[at] = red!;
    out[at + 1] = green!;
    out[at + 2] = blue!;
  }
  switch (background.texture) {
    case "solid":
      break;
    case "gradient":
      addGradient(out, side, random);
      break;
    case "noise":
      addClouds(out, side, random);
      break;
    case "grain":
      addGrain(out, random);
      break;
  }
  return out;
}

function addGradient(out: Float32Array, side: number, random: Random): void {
  const angle = random.between(0, 2 * Math.PI);
  const strength = random.between(20, 45);
  const alongX = (Math.cos(angle) * strength * 2) / side;
  const alongY = (Math.sin(angle) * strength * 2) / side;
  for (let y = 0, at = 0; y < side; y++) {
    for (let x = 0; x < side; x++, at += 3) {
      add(out, at, (x - side / 2) * alongX + (y - side / 2) * alongY);
    }
  }
}

/** Bilinear between the knots of a coarse grid. */
function addClouds(out: Float32Array, side: number, random: Random): void {
  const cells = 4 + random.below(25);
  const strength = random.between(10, 26);
  const knots = new Float32Array((cells + 1) ** 2);
  for (let at = 0; at < knots.length; at++) knots[at] = random.between(-strength, strength);
  for (let y = 0, at = 0; y < side; y++) {
    const row = Math.floor((y * cells) / side);
    const fy = (y * cells) / side - row;
    for (let x = 0; x < side; x++, at += 3) {
      const column = Math.floor((x * cells) / side);
      const fx = (x * cells) / side - column;
      const knot = row * (cells + 1) + column;
      const top = knots[knot]! + (knots[knot + 1]! - knots[knot]!) * fx;
      const under = knot + cells + 1;
      const bottom = knots[under]! + (knots[under + 1]! - knots[under]!) * fx;
      add(out, at, top + (bottom - top) * fy);
    }
  }
}

/** One table of noise serves all pictures, walked from a place and with a stride that differ. */
const grainTable = 1 << 16;
let grain: Float32Array | undefined;

function addGrain(out: Float32Array, random: Random): void {
  if (grain === undefined) {
    const noise = createRandom(0);
    grain = Float32Array.from(
      { length: grainTable },
      () => (noise.next() + noise.next() - 1) * 1.7,
    );
  }
  const strength = random.between(6, 16);
  const start = random.below(grainTable);
  const stride = 2 * random.below(grainTable / 2) + 1;
  for (let at = 0; at < out.length; at++) {
    out[at] = out[at]! + grain[(start + at * stride) & (grainTable - 1)]! * strength;
  }
}

function add(out: Float32Array, at: number, shade: number): void {
  out[at] = out[at]! + shade;
  out[at + 1] = out[at + 1]! + shade;
  out[at + 2] = out[at + 2]! + shade;
}
