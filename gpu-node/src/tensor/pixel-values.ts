// Canonical RGB bytes -> the vision tower's input. Rescale, then normalise, then channels first, with
// the rounding of the reference's Pillow backend (product in float64, the rest in float32). No resizing:
// canonical images arrive at the model's own size.
import { AppError } from "@blip2-edge/shared/problem";
import { type FloatTensor, floatTensor } from "./tensor.ts";

export interface Normalisation {
  /** Side of the square input in pixels. */
  readonly size: number;
  readonly rescale_factor: number;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** What every byte value becomes in one channel: 256 values, so the arithmetic is done once. */
function byteTable(rescaleFactor: number, mean: number, std: number): Float32Array {
  const meanF32 = Math.fround(mean);
  const stdF32 = Math.fround(std);
  return Float32Array.from(
    { length: 256 },
    (_, byte) => Math.fround(Math.fround(byte * rescaleFactor) - meanF32) / stdF32,
  );
}

/**
 * Builds `pixels -> pixel values` for one model: u8 [S, S, 3] -> f32 [1, 3, S, S].
 * Errors: `invalid_request` when the pixels are not S * S * 3 bytes.
 * Source: transformers 5.18 models/blip/image_processing_pil_blip.py.
 */
export function createPixelValues(image: Normalisation): (rgb: Uint8Array) => FloatTensor {
  const plane = image.size * image.size;
  const [red, green, blue] = ([0, 1, 2] as const).map((channel) =>
    byteTable(image.rescale_factor, image.mean[channel], image.std[channel]),
  ) as [Float32Array, Float32Array, Float32Array];
  return (rgb) => {
    if (rgb.length !== plane * 3) {
      throw new AppError(
        "invalid_request",
        `The pixels are ${rgb.length} bytes; this model takes ${image.size} x ${image.size} x 3 = ${plane * 3}.`,
      );
    }
    const data = new Float32Array(plane * 3);
    for (let pixel = 0, byte = 0; pixel < plane; pixel += 1, byte += 3) {
      data[pixel] = red[rgb[byte]!]!;
      data[plane + pixel] = green[rgb[byte + 1]!]!;
      data[2 * plane + pixel] = blue[rgb[byte + 2]!]!;
    }
    return floatTensor(data, [1, 3, image.size, image.size]);
  };
}
