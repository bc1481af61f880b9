// The pictures of a mix: noise drawn from a picture's number, already of the size that a timed model takes, so that a file
// made of it comes to a node through the Worker with these very pixels, and says as much there as in a simulation.
import { timedImageSize } from "./timed-models.ts";

/** RGB, row by row. */
export function picturePixels(picture: number): Uint8Array {
  let state = Math.imul(picture + 0x2545f491, 0x9e3779b1) >>> 0;
  return Uint8Array.from({ length: timedImageSize ** 2 * 3 }, () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
    return (state ^ (state >>> 13)) & 255;
  });
}
