// Which way a picture takes: the exact one, through the binding, or none.
import sharp from "sharp";
import { expect, test } from "vitest";
import { createDecoder } from "@blip2-edge/shared/image/decode";
import { defaultImageLimits } from "@blip2-edge/shared/image/limits";
import { testCodecModules } from "../../../test/support/image-codecs.ts";
import { canonicaliser } from "./canonicalise.ts";
import { pictureMemory } from "./picture-memory.ts";
import { shrinker, type ImagesBinding, type Shrink } from "./shrink.ts";

const never = new AbortController().signal;
const flat = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: "#356" } });
const shrink: Shrink = async (bytes) =>
  new Uint8Array(await sharp(bytes).resize(1024, 1024, { fit: "inside" }).png().toBuffer());
const made = (shrinks: Shrink | undefined) =>
  canonicaliser({
    decoder: createDecoder(testCodecModules),
    limits: defaultImageLimits,
    shrink: shrinks,
  });

test("who finds no memory in time goes through the binding, or is told to come again", async () => {
  const memory = pictureMemory({ maxBytes: 100_000_000, waitMs: 0 });
  await memory.share().hold(60_000_000, never);
  const photo = new Uint8Array(await flat(3000, 3000).jpeg().toBuffer());
  const busy = await made(shrink)(photo, 32, memory.share(), never);
  expect(busy).toMatchObject({ exact: "busy", type: "png", width: 1024, height: 1024 });
  const refused = made(undefined)(photo, 32, memory.share(), never);
  await expect(refused).rejects.toMatchObject({ code: "overloaded", retryAfterS: 1 });
  const small = new Uint8Array(await flat(64, 64).png().toBuffer());
  expect(await made(shrink)(small, 32, memory.share(), never)).toMatchObject({ exact: true });
});

test("what the binding gives is read exactly: its PNG and the picture as a PNG have one id", async () => {
  const memory = pictureMemory({ maxBytes: 1e9, waitMs: 0 });
  const gif = new Uint8Array(await flat(64, 64).gif().toBuffer());
  const png = new Uint8Array(await sharp(gif).png().toBuffer());
  const read = made(shrink);
  const [shrunk, exact] = [
    await read(gif, 32, memory.share(), never),
    await read(png, 32, memory.share(), never),
  ];
  expect([shrunk.exact, exact.exact]).toEqual(["type", true]);
  expect(shrunk.imageId).toBe(exact.imageId);
});

test.each([
  [9402, "image_too_large"],
  [9413, "image_too_large"],
  [9422, "overloaded"],
  [9504, "overloaded"],
  [9412, "image_corrupt"],
  [0, "image_corrupt"],
] as const)("the binding's error %d is %s, without its words", async (code, problem) => {
  const output = () => Promise.reject(Object.assign(new Error("SECRET"), { code }));
  const images: ImagesBinding = { input: () => ({ transform: () => ({ output }) }) };
  const attempt = shrinker({ images, timeoutMs: 1000 })(new Uint8Array(1), never);
  await expect(attempt).rejects.toMatchObject({
    code: problem,
    detail: expect.not.stringContaining("SECRET") as unknown,
  });
});

test("a binding that does not answer, or answers without end, is not waited for", async () => {
  const output = () => new Promise<never>(() => {});
  const silent: ImagesBinding = { input: () => ({ transform: () => ({ output }) }) };
  const attempt = shrinker({ images: silent, timeoutMs: 20 })(new Uint8Array(1), never);
  await expect(attempt).rejects.toMatchObject({ code: "overloaded", retryAfterS: 2 });
  const endless = (): ReadableStream<Uint8Array> =>
    new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1_000_000)) });
  const long: ImagesBinding = {
    input: () => ({
      transform: () => ({ output: () => Promise.resolve({ image: endless }) }),
    }),
  };
  const much = shrinker({ images: long, timeoutMs: 5000 })(new Uint8Array(1), never);
  await expect(much).rejects.toMatchObject({ code: "image_corrupt" });
});
