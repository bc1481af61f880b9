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
  // Rounds and clamps.
  const data = new Uint8Array(new Uint8ClampedArray(canvas).buffer);
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
      const fx = u - left;
      const fy = v - top;
      // Outside of the sprite there is nothing: a corner there has no share.
      const west = left >= 0 ? 1 - fx : 0;
      const east = left < last ? fx : 0;
      const north = top >= 0 ? 1 - fy : 0;
      const south = top < last ? fy : 0;
      const a = (Math.max(top, 0) * sprite.side + Math.max(left, 0)) * 4;
      const b = (Math.max(top, 0) * sprite.side + Math.min(left + 1, last)) * 4;
      const c = (Math.min(top + 1, last) * sprite.side + Math.max(left, 0)) * 4;
      const d = (Math.min(top + 1, last) * sprite.side + Math.min(left + 1, last)) * 4;
      const alpha =
        north * (west * data[a + 3]! + east * data[b + 3]!) +
        south * (west * data[c + 3]! + east * data[d + 3]!);
      if (alpha === 0) continue;
      const keep = 1 - alpha / 255;
      const at = (y * side + x) * 3;
      for (let channel = 0; channel < 3; channel++) {
        canvas[at + channel] =
          canvas[at + channel]! * keep +
          north * (west * data[a + channel]! + east * data[b + channel]!) +
          south * (west * data[c + channel]! + east * data[d + channel]!);
      }
    }
  }
}
