// Pictures as they really come to a CMS, made of the embedded models' scenes: blurred, compressed to pieces, noisy, cut
// out, tiny, faint, two on one sheet, and sheets on which there is nothing. The same seed gives the same bytes. Each
// comes with what is to be seen on it, so that a caption can be judged.
import sharp, { type Sharp } from "sharp";
import type { Drawings } from "./drawings.ts";
import { drawScene } from "./draw.ts";
import { createRandom, type Random } from "./random.ts";
import type { RgbImage } from "./raster.ts";
import type { Scene, SceneObject } from "./scene.ts";

export const hardKinds = [
  "blurred",
  "recompressed",
  "noisy",
  "cropped",
  "small",
  "faint",
  "two scenes",
  "empty",
] as const;
export type HardKind = (typeof hardKinds)[number];

export interface HardPicture {
  readonly bytes: Buffer;
  /** What is on it; of two on one sheet either. */
  readonly truth: readonly Scene[];
}

const side = 224;
const maxWindows = 40;

const open = ({ data, width, height }: RgbImage) =>
  sharp(data, { raw: { width, height, channels: 3 } });

/** `other`: the second scene of a sheet. */
export async function hardPicture(
  kind: HardKind,
  [scene, other]: readonly [Scene, Scene],
  drawings: Drawings,
  seed: number,
): Promise<HardPicture> {
  const random = createRandom(seed, hardKinds.indexOf(kind));
  const drawn = (what: Scene, wide = side): Promise<RgbImage> => drawScene(what, wide, drawings);
  const image = open(await drawn(scene));
  const of = async (made: Sharp): Promise<HardPicture> => ({
    bytes: await made.png().toBuffer(),
    truth: [scene],
  });
  switch (kind) {
    case "blurred":
      return of(image.blur(random.between(3, 8)));
    case "recompressed":
      return of(sharp(await recompressed(image, random)));
    case "noisy":
      return of(open(noisy(await drawn(scene), random)));
    case "small":
      return of(image.resize(24 + random.below(24)));
    case "faint": {
      // The colours can still be told.
      const contrast = random.between(0.5, 0.75);
      return of(image.linear(contrast, random.between(60, 190) * (1 - contrast)));
    }
    case "cropped": {
      const window = windowOf(scene, random);
      const large = await drawn(scene, 2 * side);
      const [left, top, size] = [window.x, window.y, window.size].map((part) =>
        Math.floor(part * 2 * side),
      ) as [number, number, number];
      const cut = open(large).extract({ left, top, width: size, height: size });
      return { bytes: await cut.png().toBuffer(), truth: [seenIn(scene, window)] };
    }
    case "two scenes": {
      const right = open(await drawn(other));
      const sheet = image
        .extend({ right: side, background: "white" })
        .composite([{ input: await right.png().toBuffer(), left: side, top: 0 }]);
      return { bytes: await sheet.png().toBuffer(), truth: [scene, other] };
    }
    case "empty": {
      const nothing = { ...scene, groups: [] };
      return {
        bytes: await open(await drawn(nothing))
          .png()
          .toBuffer(),
        truth: [nothing],
      };
    }
  }
}

/** As a picture is that was saved and sent on several times. */
async function recompressed(image: Sharp, random: Random): Promise<Buffer> {
  let bytes = await image.jpeg({ quality: 5 + random.below(10) }).toBuffer();
  for (let time = 0; time < 2; time++) {
    const smaller = 120 + random.below(80);
    bytes = await sharp(bytes)
      .resize(smaller)
      .jpeg({ quality: 5 + random.below(6) })
      .toBuffer();
  }
  return bytes;
}

/** Normal by the sum of uniform numbers, each channel by itself. */
function noisy({ data, ...size }: RgbImage, random: Random): RgbImage {
  const strength = random.between(25, 70);
  const out = Uint8ClampedArray.from(data, (value) => {
    const normal = random.next() + random.next() + random.next() + random.next() - 2;
    return value + strength * normal * Math.sqrt(3);
  });
  return { ...size, data: new Uint8Array(out.buffer) };
}

interface Window {
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

/** Cuts off at least a fifth of a side, and no thing so that nobody could say whether it is there. */
function windowOf(scene: Scene, random: Random): Window {
  for (let tries = 0; tries < maxWindows; tries++) {
    const size = random.between(0.45, 0.8);
    const window = { x: random.between(0, 1 - size), y: random.between(0, 1 - size), size };
    const parts = scene.groups.flatMap(({ objects }) =>
      objects.map((each) => partIn(each, window)),
    );
    const isClear = parts.every((part) => part > 0.6 || part < 0.1);
    if (isClear && parts.some((part) => part > 0.6)) return window;
  }
  return { x: 0, y: 0, size: 1 };
}

/** How much of an object's box the window shows. */
function partIn({ x, y, size }: SceneObject, window: Window): number {
  const along = (centre: number, from: number): number =>
    Math.max(
      0,
      Math.min(centre + size / 2, from + window.size) - Math.max(centre - size / 2, from),
    );
  return (along(x, window.x) * along(y, window.y)) / (size * size);
}

const seenIn = (scene: Scene, window: Window): Scene => ({
  ...scene,
  groups: scene.groups
    .map((group) => ({
      ...group,
      objects: group.objects.filter((object) => partIn(object, window) > 0.6),
    }))
    .filter(({ objects }) => objects.length > 0),
});
