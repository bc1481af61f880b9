// Pillow's 8-bit bicubic resampler (antialiased, two passes in fixed point), bit for bit: the resize
// that BLIP-2's reference preprocessing uses. It stretches; the aspect ratio is not kept.
// Memory beyond the output: the rows that one output row needs, never a copy of the source.

/** Rows of interleaved 8-bit pixels: RGB (3 channels) or RGBA (4; alpha is dropped, not composited). */
export interface PixelSource {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
}

/** For each output position: the first input position, how many follow, and their integer weights. */
interface AxisWeights {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** [outputs, taps], scaled by 2^22. */
  readonly weights: Int32Array;
  readonly taps: number;
}

const precisionBits = 22; // 32 - 8 bits of pixel - 2 bits of head room, as in Pillow's Resample.c
const half = 1 << (precisionBits - 1);
const filterSupport = 2;

/** Keys' cubic convolution kernel with a = -0.5. */
function cubic(position: number): number {
  const x = Math.abs(position);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
  return 0;
}

/** The operations and their order are Pillow's: the doubles must round the same way. */
function axisWeights(inputSize: number, outputSize: number): AxisWeights {
  const scale = inputSize / outputSize;
  const filterScale = Math.max(scale, 1);
  const support = filterSupport * filterScale;
  const taps = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(outputSize);
  const counts = new Int32Array(outputSize);
  const weights = new Int32Array(outputSize * taps);
  const exact = new Float64Array(taps);
  const inverse = 1 / filterScale;
  for (let output = 0; output < outputSize; output++) {
    const center = (output + 0.5) * scale;
    const start = Math.max(Math.trunc(center - support + 0.5), 0);
    const count = Math.min(Math.trunc(center + support + 0.5), inputSize) - start;
    let sum = 0;
    for (let tap = 0; tap < count; tap++) {
      const weight = cubic((tap + start - center + 0.5) * inverse);
      exact[tap] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < count; tap++) {
      const weight = sum === 0 ? exact[tap]! : exact[tap]! / sum;
      const scaled = weight * (1 << precisionBits);
      weights[output * taps + tap] = Math.trunc(weight < 0 ? scaled - 0.5 : scaled + 0.5);
    }
    starts[output] = start;
    counts[output] = count;
  }
  return { starts, counts, weights, taps };
}

const clip8 = (value: number): number => (value < 0 ? 0 : value > 255 ? 255 : value);

/** One source row, stretched to the output's width, into `out` (RGB) at `outOffset`. */
function stretchRow(
  source: PixelSource,
  y: number,
  axis: AxisWeights,
  out: Uint8Array,
  outOffset: number,
): void {
  const { data, channels } = source;
  const { starts, counts, weights, taps } = axis;
  const rowOffset = y * source.width * channels;
  let target = outOffset;
  for (let x = 0; x < starts.length; x++) {
    let at = rowOffset + starts[x]! * channels;
    const firstWeight = x * taps;
    const lastWeight = firstWeight + counts[x]!;
    let red = half;
    let green = half;
    let blue = half;
    for (let tap = firstWeight; tap < lastWeight; tap++) {
      const weight = weights[tap]!;
      red = (red + Math.imul(data[at]!, weight)) | 0;
      green = (green + Math.imul(data[at + 1]!, weight)) | 0;
      blue = (blue + Math.imul(data[at + 2]!, weight)) | 0;
      at += channels;
    }
    out[target] = clip8(red >> precisionBits);
    out[target + 1] = clip8(green >> precisionBits);
    out[target + 2] = clip8(blue >> precisionBits);
    target += 3;
  }
}

/** One source row as it is, without its alpha, into `out` (RGB) at `outOffset`. */
function copyRow(source: PixelSource, y: number, out: Uint8Array, outOffset: number): void {
  const { data, width, channels } = source;
  let at = y * width * channels;
  let target = outOffset;
  for (let x = 0; x < width; x++) {
    out[target] = data[at]!;
    out[target + 1] = data[at + 1]!;
    out[target + 2] = data[at + 2]!;
    at += channels;
    target += 3;
  }
}

function checkSizes(source: PixelSource, width: number, height: number): void {
  for (const side of [source.width, source.height, width, height]) {
    if (!Number.isInteger(side) || side < 1)
      throw new RangeError(`a side of ${side} pixels cannot be resampled`);
  }
  const expected = source.width * source.height * source.channels;
  if (source.data.length !== expected) {
    throw new RangeError(`expected ${expected} bytes of pixels, got ${source.data.length}`);
  }
}

/**
 * Resamples to width x height and returns RGB bytes (row by row, 3 bytes a pixel). Equal to
 * `Image.convert("RGB").resize((width, height), BICUBIC)` of Pillow 12 to the last bit; an axis whose
 * size does not change is copied. Throws RangeError when the byte length does not match the sizes.
 * Source: Pillow, src/libImaging/Resample.c and Image.resize.
 */
export function resampleRgb(source: PixelSource, width: number, height: number): Uint8Array {
  checkSizes(source, width, height);
  // Image.resize: an extremely tall picture is shrunk vertically first. The 8-bit intermediate makes
  // the order visible in the result.
  const verticalFirst = source.height > source.width * 100 && height < source.height;
  if (verticalFirst && width !== source.width) {
    const data = resampleRgb(source, source.width, height);
    return stretch({ data, width: source.width, height, channels: 3 }, width, height);
  }
  return stretch(source, width, height);
}

function stretch(source: PixelSource, width: number, height: number): Uint8Array {
  const rowBytes = width * 3;
  const output = new Uint8Array(rowBytes * height);
  const horizontal = width === source.width ? undefined : axisWeights(source.width, width);
  const readRow = (y: number, out: Uint8Array, outOffset: number): void => {
    if (horizontal) stretchRow(source, y, horizontal, out, outOffset);
    else copyRow(source, y, out, outOffset);
  };

  if (height === source.height) {
    for (let y = 0; y < height; y++) readRow(y, output, y * rowBytes);
    return output;
  }

  // The windows of successive output rows only move down, so a ring of `taps` rows holds all that
  // the current one needs.
  const { starts, counts, weights, taps } = axisWeights(source.height, height);
  const ring = new Uint8Array(taps * rowBytes);
  const sums = new Int32Array(rowBytes);
  let nextRow = 0;
  for (let y = 0; y < height; y++) {
    const start = starts[y]!;
    const end = start + counts[y]!;
    for (nextRow = Math.max(nextRow, start); nextRow < end; nextRow++) {
      readRow(nextRow, ring, (nextRow % taps) * rowBytes);
    }
    sums.fill(half);
    for (let row = start; row < end; row++) {
      const weight = weights[y * taps + row - start]!;
      const ringOffset = (row % taps) * rowBytes;
      for (let i = 0; i < rowBytes; i++) {
        sums[i] = (sums[i]! + Math.imul(ring[ringOffset + i]!, weight)) | 0;
      }
    }
    const outOffset = y * rowBytes;
    for (let i = 0; i < rowBytes; i++) output[outOffset + i] = clip8(sums[i]! >> precisionBits);
  }
  return output;
}
