// The drawn shapes as SVG, one plain colour each.

import type { Rgb, ShapeNoun } from "./vocabulary.ts";

const outlines: Readonly<Record<ShapeNoun, string>> = {
  circle: '<circle cx="50" cy="50" r="46"/>',
  square: '<rect x="10" y="10" width="80" height="80"/>',
  triangle: '<path d="M50 8 94 88 6 88z"/>',
  star: '<path d="M50 3 61.8 36.8 97.6 37.5 69 59.2 79.4 93.5 50 73 20.6 93.5 31 59.2 2.4 37.5 38.2 36.8z"/>',
  heart:
    '<path d="M50 92C18 66 4 50 4 32 4 17 15 7 28 7c9 0 17 5 22 13C55 12 63 7 72 7c13 0 24 10 24 25 0 18-14 34-46 60z"/>',
  diamond: '<path d="M50 3 84 50 50 97 16 50z"/>',
  ring: '<path fill-rule="evenodd" d="M50 4a46 46 0 1 0 0 92 46 46 0 1 0 0-92zm0 22a24 24 0 1 1 0 48 24 24 0 1 1 0-48z"/>',
  cross: '<path d="M35 6h30v29h29v30H65v29H35V65H6V35h29z"/>',
};

export function shapeSvg(noun: ShapeNoun, [red, green, blue]: Rgb): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="100" height="100"><g fill="rgb(${red},${green},${blue})">${outlines[noun]}</g></svg>`;
}

export const isShape = (noun: string): noun is ShapeNoun => noun in outlines;
