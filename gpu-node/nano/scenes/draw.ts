// Draws a scene into RGB. Plain typed-array arithmetic, so a picture costs about a millisecond
// and the same scene gives the same bytes everywhere.

import { paintBackground } from "./background.ts";
import type { Drawings } from "./drawings.ts";
import type { RgbImage, Sprite } from "./raster.ts";
import type { Scene, SceneObject } from "./scene.ts";
import { objectsOf } from "./scene.ts";

export async function drawScene(scene: Scene, side: number, drawings: Drawings): Promise<RgbImage> {
  const canvas = paintBackground(scene.background, side);
  for (const object of objectsOf(scene)) {
    const levels = await drawings.levels(object.noun, object.colour, object.style, object.slug);
    const wanted = object.size * side * 0.95;
    const sprite = levels.findLast((level) => level.side >= wanted) ?? levels[0];
    if (sprite !== undefined) stamp(canvas, side, sprite, object);
  }
  const data = new Uint8Array(canvas.length);
  for (let at = 0; at < canvas.length; at++)
    data[at] = Math.min(255, Math.max(0, Math.round(canvas[at]!)));
  return { width: side, height: side, data };
}

/** Turned, mirrored, bilinear; the sprite's colours are premultiplied, so edges need no special care. */
function stamp(canvas: Float32Array, side: number, sprite: Sprite, object: SceneObject): void {
  const angle = (object.angleDegrees * Math.PI) / 180;
  const scale = sprite.side / (object.size * side);
  const cos = Math.cos(angle) * scale;
  const sin = Math.sin(angle) * scale;
  const middle = sprite.side / 2;
  const centreX = object.x * side;
  const centreY = object.y * side;
  const reach =
    (object.size * side * (Math.abs(Math.cos(angle)) + Math.abs(Math.sin(angle)))) / 2 + 1;
  const last = sprite.side - 1;
  const { data } = sprite;

  for (let y = Math.max(0, Math.floor(centreY - reach)); y < Math.min(side, centreY + reach); y++) {
    for (
      let x = Math.max(0, Math.floor(centreX - reach));
      x < Math.min(side, centreX + reach);
      x++
    ) {
      const dx = x + 0.5 - centreX;
      const dy = y + 0.5 - centreY;
      const across = dx * cos + dy * sin;
      const u = (object.mirrored ? -across : across) + middle - 0.5;
      const v = dy * cos - dx * sin + middle - 0.5;
      const left = Math.floor(u);
      const top = Math.floor(v);
      if (left < -1 || top < -1 || left > last || top > last) continue;
      let red = 0;
      let green = 0;
      let blue = 0;
      let alpha = 0;
      for (let corner = 0; corner < 4; corner++) {
        const column = left + (corner & 1);
        const row = top + (corner >> 1);
        if (column < 0 || row < 0 || column > last || row > last) continue;
        const share =
          Math.abs(1 - (corner & 1) - (u - left)) * Math.abs(1 - (corner >> 1) - (v - top));
        const at = (row * sprite.side + column) * 4;
        red += share * data[at]!;
        green += share * data[at + 1]!;
        blue += share * data[at + 2]!;
        alpha += share * data[at + 3]!;
      }
      if (alpha === 0) continue;
      const keep = 1 - alpha / 255;
      const at = (y * side + x) * 3;
      canvas[at] = canvas[at]! * keep + red;
      canvas[at + 1] = canvas[at + 1]! * keep + green;
      canvas[at + 2] = canvas[at + 2]! * keep + blue;
    }
  }
}
