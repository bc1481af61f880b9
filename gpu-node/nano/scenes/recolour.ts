// Paints a drawing in one colour: its luminance becomes a ramp from dark through the colour to light,
// so that "a blue car" is still a car with windows and wheels.

import type { Sprite } from "./raster.ts";
import type { Colour } from "./vocabulary.ts";
import { colourValues } from "./vocabulary.ts";

/** How dark and how light the ends of the ramp are; white must not turn gray, nor black. */
const ramps: Partial<Record<Colour, readonly [dark: number, light: number]>> = {
  white: [0.82, 0],
  black: [0.3, 0.16],
  gray: [0.72, 0.18],
  yellow: [0.72, 0.35],
};

export function recolour(sprite: Sprite, colour: Colour): Sprite {
  const { data } = sprite;
  const [red, green, blue] = colourValues[colour];
  const [dark, light] = ramps[colour] ?? [0.5, 0.4];

  // The middle of the drawing's own range becomes the colour itself, whatever the drawing's own key.
  let sum = 0;
  let weight = 0;
  for (let at = 0; at < data.length; at += 4) {
    sum += luminance(data, at);
    weight += data[at + 3]! / 255;
  }
  const middle = Math.min(200, Math.max(55, sum / Math.max(weight, 1)));

  const out = new Float32Array(data.length);
  for (let at = 0; at < data.length; at += 4) {
    const alpha = data[at + 3]! / 255;
    if (alpha === 0) continue;
    const value = luminance(data, at) / alpha;
    let scale = 1;
    let lift = 0;
    if (value < middle) scale = dark + (1 - dark) * (value / middle);
    else lift = light * ((value - middle) / (255 - middle));
    out[at] = (red * scale + (255 - red * scale) * lift) * alpha;
    out[at + 1] = (green * scale + (255 - green * scale) * lift) * alpha;
    out[at + 2] = (blue * scale + (255 - blue * scale) * lift) * alpha;
    out[at + 3] = data[at + 3]!;
  }
  return { side: sprite.side, data: out };
}

/** Of a premultiplied pixel: 0..255 times alpha. */
const luminance = (data: Float32Array, at: number): number =>
  0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
