// How far a picture that was shrunk first drifts from the exact one: the greatest and the mean difference
// of the canonical image's levels, and whether the image_id is the same. The shrinking is that of the
// local simulation (sharp with a Lanczos kernel, as Miniflare calls it); production's is another program,
// so its figures must be taken there. `--side` tries another bound than the Worker's.
import { parseArgs } from "node:util";
import { canonicalImage, canonicalSize } from "@blip2-edge/shared/image/canonical";
import { createDecoder } from "@blip2-edge/shared/image/decode";
import { defaultImageLimits } from "@blip2-edge/shared/image/limits";
import { shrunkSide } from "../../edge/src/images/shrink.ts";
import { testCodecModules } from "../../test/support/image-codecs.ts";
import { drawnPhoto, shrunkLocally, type Draw } from "../../test/support/photos.ts";

const { values } = parseArgs({
  options: { side: { type: "string", default: String(shrunkSide) } },
  allowPositionals: false,
});
const side = Number(values.side);
const decoder = createDecoder(testCodecModules);
const limits = { ...defaultImageLimits, maxPixels: 1e8, maxDecodeBytes: 1e9 };

const drawings: Readonly<Record<string, Draw>> = {
  "gradients with noise": (x, y, channel, random) => ((x + y * (channel + 1)) >> 4) + random / 8,
  "sharp edges": (x, y, channel) => ((x * (channel + 3) + y * 5) % 700 < 350 ? 230 : 25),
  "fine stripes": (x, y) => (((x >> 3) + (y >> 4)) % 2 === 0 ? 255 : 0),
  "noise alone": (_x, _y, _channel, random) => random,
};

const seen = async (bytes: Uint8Array) => {
  const { imageId, pixels } = await canonicalImage(bytes, { decoder, limits });
  return { imageId, levels: pixels.get(canonicalSize) ?? new Uint8Array() };
};

console.log(`Shrunk to at most ${side} a side by sharp (Lanczos).\n`);
console.log("| picture | size | greatest difference | mean | levels equal | same image_id |");
console.log("| --- | --- | --- | --- | --- | --- |");
for (const [name, draw] of Object.entries(drawings)) {
  for (const [width, height] of [
    [600, 400],
    [2000, 1500],
    [4000, 3000],
  ] as const) {
    const jpeg = await drawnPhoto(draw, [width, height]);
    const shrunk = await shrunkLocally(jpeg, side);
    const [exact, other] = [await seen(jpeg), await seen(shrunk)];
    const differences = exact.levels.map((level, at) => Math.abs(level - (other.levels[at] ?? 0)));
    const mean = differences.reduce((sum, each) => sum + each, 0) / differences.length;
    const greatest = differences.reduce((most, each) => Math.max(most, each), 0);
    const equal = differences.filter((each) => each === 0).length / differences.length;
    console.log(
      `| ${name} | ${width} x ${height} | ${greatest} | ${mean.toFixed(3)} | ` +
        `${(100 * equal).toFixed(1)} % | ${exact.imageId === other.imageId ? "yes" : "no"} |`,
    );
  }
}
