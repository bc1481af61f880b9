import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { testCodecModules } from "../../../test/support/image-codecs.ts";
import { canonicalImage, imageIdOf } from "./canonical.ts";
import { createDecoder } from "./decode.ts";
import goldens from "./golden/canonical.json" with { type: "json" };
import { checkImage } from "./limits.ts";
import { resampleRgb } from "./resample.ts";

const decoder = createDecoder(testCodecModules);
const fileOf = (name: string): Uint8Array => {
  const golden = goldens.cases.find((entry) => entry.name === name);
  return new Uint8Array(Buffer.from(golden?.base64 ?? "", "base64"));
};

describe("the id that Pillow's pixels give", () => {
  for (const { name, image_id: expected } of goldens.cases) {
    test(name, async () => {
      const bytes = fileOf(name);
      const { imageId, pixels, source } = await canonicalImage(bytes, { decoder });
      expect(imageId).toBe(expected);
      expect(source).toEqual({ type: name.split(" ")[0], width: 37, height: 29 });
      expect([...pixels.keys()]).toEqual([224]);
      // Read, but not applied.
      expect(checkImage(bytes).orientation).toBe(name.includes("orientation 6") ? 6 : 1);
    });
  }
});

test("every size asked for is made from the decoded picture, not from the 224", async () => {
  const bytes = fileOf("png rgb");
  const { pixels } = await canonicalImage(bytes, { decoder, sizes: [96, 224, 364] });
  expect([...pixels.keys()].toSorted((a, b) => a - b)).toEqual([96, 224, 364]);
  const direct = await decoder.decode(bytes, checkImage(bytes), (source) =>
    resampleRgb(source, 96, 96),
  );
  expect(pixels.get(96)).toEqual(direct);
});

test("the id is the same however the picture was packed", async () => {
  const id = async (name: string) => (await canonicalImage(fileOf(name), { decoder })).imageId;
  expect(await id("webp lossless")).toBe(await id("png rgb"));
  expect(await id("png rgba")).toBe(await id("png rgb"));
  expect(await id("png grey with alpha")).toBe(await id("png grey"));
});

test("the bytes under the id are domain, zero, width, height, RGB", async () => {
  const rgb = Uint8Array.from({ length: 224 * 224 * 3 }, (_, index) => index % 251);
  const header = Buffer.from("blip2-edge/image/v1\0\0\0\0\xe0\0\0\0\xe0", "latin1");
  const digest = createHash("sha256").update(header).update(rgb).digest("hex");
  expect(await imageIdOf(rgb)).toBe(`img_${digest}`);
  await expect(imageIdOf(rgb.subarray(1))).rejects.toThrow(RangeError);
});
