// The shelf of drawings: reads sprite files, rasterises each drawing once, recolours it, and keeps it at falling sizes.
// A sprite file is JSON: { style, licence, shipped?, viewBox, bodies: { slug: SVG body } }.

import { readFile } from "node:fs/promises";
import { recolour } from "./recolour.ts";
import type { Sprite } from "./raster.ts";
import { rasterise } from "./raster.ts";
import { isShape, shapeSvg } from "./shapes.ts";
import type { Colour } from "./vocabulary.ts";
import { colourValues, things } from "./vocabulary.ts";

export interface SpriteFile {
  readonly style: string;
  readonly licence: string;
  readonly source: string;
  /** Side of the square that the bodies are drawn in. */
  readonly viewBox: number;
  readonly bodies: Readonly<Record<string, string>>;
}

/** The styles that are in the repository; the default of every command. */
export const shippedSpriteFiles: readonly URL[] = [
  new URL("../sprites/noto.json", import.meta.url),
  new URL("../sprites/fluent-emoji-flat.json", import.meta.url),
];

export interface Drawings {
  readonly styles: readonly string[];
  /** From the largest to the smallest; `style` and `slug` are ignored for a drawn shape. */
  levels(
    noun: string,
    colour: Colour | null,
    style: string,
    slug: string,
  ): Promise<readonly Sprite[]>;
}

/** `side`: of the largest level; every next one is 1/√2 of it, down to `smallest`. */
export async function openDrawings(
  files: readonly (string | URL)[] = shippedSpriteFiles,
  side = 192,
  smallest = 20,
): Promise<Drawings> {
  const byStyle = new Map<string, SpriteFile>();
  for (const file of files) {
    const parsed = JSON.parse(await readFile(file, "utf8")) as SpriteFile;
    for (const slug of things.flatMap((thing) => thing.slugs)) {
      if (parsed.bodies[slug] === undefined)
        throw new Error(`${String(file)} has no drawing "${slug}"`);
    }
    byStyle.set(parsed.style, parsed);
  }

  const kept = new Map<string, Promise<readonly Sprite[]>>();
  const draw = async (noun: string, colour: Colour | null, style: string, slug: string) => {
    if (isShape(noun))
      return pyramid(
        await rasterise(shapeSvg(noun, colourValues[colour ?? "gray"]), side),
        smallest,
      );
    const file = byStyle.get(style);
    const body = file?.bodies[slug];
    if (file === undefined || body === undefined)
      throw new Error(`no drawing "${slug}" in style "${style}"`);
    const box = file.viewBox;
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${box}" height="${box}" viewBox="0 0 ${box} ${box}">${body}</svg>`;
    const base = await rasterise(svg, side);
    return pyramid(colour === null ? base : recolour(base, colour), smallest);
  };

  return {
    styles: [...byStyle.keys()],
    levels: (noun, colour, style, slug) => {
      const key = isShape(noun) ? `${noun}/${colour}` : `${noun}/${colour}/${style}/${slug}`;
      let levels = kept.get(key);
      if (levels === undefined) {
        levels = draw(noun, colour, style, slug);
        kept.set(key, levels);
      }
      return levels;
    },
  };
}

function pyramid(top: Sprite, smallest: number): readonly Sprite[] {
  const levels = [top];
  for (let step = 1; ; step++) {
    const side = Math.round(top.side / Math.SQRT2 ** step);
    if (side < smallest) return levels;
    levels.push(shrink(top, side));
  }
}

/** Area average, exact at fractional ratios: what a camera's pixel would see. */
function shrink(sprite: Sprite, side: number): Sprite {
  const ratio = sprite.side / side;
  const rows = new Float32Array(sprite.side * side * 4);
  for (let x = 0; x < side; x++) {
    forCovered(x * ratio, (x + 1) * ratio, sprite.side, (from, share) => {
      for (let y = 0; y < sprite.side; y++) {
        for (let c = 0; c < 4; c++) {
          rows[(y * side + x) * 4 + c]! +=
            (share / ratio) * sprite.data[(y * sprite.side + from) * 4 + c]!;
        }
      }
    });
  }
  const data = new Float32Array(side * side * 4);
  for (let y = 0; y < side; y++) {
    forCovered(y * ratio, (y + 1) * ratio, sprite.side, (from, share) => {
      for (let at = 0; at < side * 4; at++) {
        data[y * side * 4 + at]! += (share / ratio) * rows[from * side * 4 + at]!;
      }
    });
  }
  return { side, data };
}

function forCovered(
  low: number,
  high: number,
  limit: number,
  visit: (index: number, share: number) => void,
): void {
  for (let index = Math.floor(low); index < Math.min(limit, Math.ceil(high)); index++) {
    const share = Math.min(high, index + 1) - Math.max(low, index);
    if (share > 1e-9) visit(index, share);
  }
}
