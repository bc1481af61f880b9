// A picture made small enough to look at in a list: its own aspect, at most so many pixels on the longer side, never
// enlarged, upright as its EXIF says, transparency kept. The mean of the area that a pixel covers, in one pass over
// pixels that are lent. No model sees it, and it is not Pillow's: only sums and quotients, so equal everywhere.
import type { Orientation } from "./exif.ts";
import type { PixelSource } from "./resample.ts";

/** Row by row from the top left, 4 bytes a pixel, alpha not multiplied in. */
export interface RgbaPicture {
  readonly data: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
}

const thumbnailSide = 320;

/** For each output position: the inputs that it covers, and how much of the first and of the last. */
interface Bins {
  readonly starts: Int32Array;
  /** After the last. */
  readonly ends: Int32Array;
  readonly firsts: Float64Array;
  readonly lasts: Float64Array;
}

function binsOf(inputs: number, outputs: number): Bins {
  const bins = {
    starts: new Int32Array(outputs),
    ends: new Int32Array(outputs),
    firsts: new Float64Array(outputs),
    lasts: new Float64Array(outputs),
  };
  for (let output = 0; output < outputs; output++) {
    const from = (output * inputs) / outputs;
    const to = ((output + 1) * inputs) / outputs;
    const start = Math.floor(from);
    const end = Math.min(Math.ceil(to), inputs);
    bins.starts[output] = start;
    bins.ends[output] = end;
    bins.firsts[output] = Math.min(start + 1, to) - from;
    bins.lasts[output] = to - (end - 1);
  }
  return bins;
}

/** Sums of red, green and blue, each times alpha, and of alpha, for each output column of one source row. */
function sumRow(source: PixelSource, y: number, columns: Bins, sums: Float64Array): void {
  const { data, width, channels } = source;
  const { starts, ends, firsts, lasts } = columns;
  const row = y * width * channels;
  const alphaAt = channels === 4 ? 3 : undefined;
  for (let x = 0; x < starts.length; x++) {
    let at = row + starts[x]! * channels;
    const lastAt = row + (ends[x]! - 1) * channels;
    // Between the first and the last each counts whole; a bin of one pixel is its first.
    let weight = firsts[x]! * (alphaAt === undefined ? 255 : data[at + alphaAt]!);
    let red = data[at]! * weight;
    let green = data[at + 1]! * weight;
    let blue = data[at + 2]! * weight;
    let alpha = weight;
    while (at < lastAt) {
      at += channels;
      const opacity = alphaAt === undefined ? 255 : data[at + alphaAt]!;
      weight = at === lastAt ? lasts[x]! * opacity : opacity;
      red += data[at]! * weight;
      green += data[at + 1]! * weight;
      blue += data[at + 2]! * weight;
      alpha += weight;
    }
    sums[x * 4] = red;
    sums[x * 4 + 1] = green;
    sums[x * 4 + 2] = blue;
    sums[x * 4 + 3] = alpha;
  }
}

function shrunk(source: PixelSource, width: number, height: number): RgbaPicture {
  const data = new Uint8Array(width * height * 4);
  const [columns, rows] = [binsOf(source.width, width), binsOf(source.height, height)];
  const sums = new Float64Array(width * 4);
  const total = new Float64Array(width * 4);
  const area = (source.width / width) * (source.height / height);
  let summed = -1;
  for (let y = 0; y < height; y++) {
    const start = rows.starts[y]!;
    const last = rows.ends[y]! - 1;
    total.fill(0);
    for (let input = start; input <= last; input++) {
      // The row on which two outputs meet is summed once.
      if (input !== summed) sumRow(source, input, columns, sums);
      summed = input;
      const part = input === start ? rows.firsts[y]! : input === last ? rows.lasts[y]! : 1;
      for (let at = 0; at < total.length; at++) total[at] = total[at]! + sums[at]! * part;
    }
    for (let x = 0; x < width; x++) {
      const alpha = total[x * 4 + 3]!;
      // What nobody can see has no colour.
      if (alpha === 0) continue;
      const at = (y * width + x) * 4;
      for (let channel = 0; channel < 3; channel++) {
        data[at + channel] = Math.min(255, Math.round(total[x * 4 + channel]! / alpha));
      }
      data[at + 3] = Math.min(255, Math.round(alpha / area));
    }
  }
  return { data, width, height };
}

/** Where a pixel of the upright picture lies in the stored one of `width` x `height` (EXIF 2.3, tag 0x0112). */
const placeOf: Readonly<
  Record<Orientation, (x: number, y: number, width: number, height: number) => [number, number]>
> = {
  1: (x, y) => [x, y],
  2: (x, y, width) => [width - 1 - x, y],
  3: (x, y, width, height) => [width - 1 - x, height - 1 - y],
  4: (x, y, _, height) => [x, height - 1 - y],
  5: (x, y) => [y, x],
  6: (x, y, _, height) => [y, height - 1 - x],
  7: (x, y, width, height) => [width - 1 - y, height - 1 - x],
  8: (x, y, width) => [width - 1 - y, x],
};

function upright(picture: RgbaPicture, orientation: Orientation): RgbaPicture {
  if (orientation === 1) return picture;
  const isTurned = orientation >= 5;
  const [width, height] = isTurned
    ? [picture.height, picture.width]
    : [picture.width, picture.height];
  const place = placeOf[orientation];
  const from = new Uint32Array(picture.data.buffer);
  const data = new Uint32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [fromX, fromY] = place(x, y, picture.width, picture.height);
      data[y * width + x] = from[fromY * picture.width + fromX]!;
    }
  }
  return { data: new Uint8Array(data.buffer), width, height };
}

/** `source` is lent: nothing of it is kept. */
export function thumbnailOf(source: PixelSource, orientation: Orientation): RgbaPicture {
  const scale = Math.min(1, thumbnailSide / Math.max(source.width, source.height));
  const sideOf = (side: number): number => Math.max(1, Math.round(side * scale));
  return upright(shrunk(source, sideOf(source.width), sideOf(source.height)), orientation);
}
