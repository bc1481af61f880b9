// Pictures that the exact path does not take: with the Images binding (sharp in its place, as Miniflare
// simulates it) they are answered and said to be inexact; without it each is refused by what it is.
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import * as pictures from "../support/pictures.ts";

let bound: Edge;
let unbound: Edge;
beforeAll(async () => {
  [bound, unbound] = await Promise.all([startEdge({ images: true }), startEdge()]);
});
afterAll(async () => {
  await bound?.stop();
  await unbound?.stop();
});

const flat = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: "#356" } });
const frames = async () =>
  sharp(await pictures.png(8), { animated: true })
    .extend({ bottom: 64, background: "#fff" })
    .raw()
    .toBuffer();
const animatedWebp = async () =>
  sharp(await frames(), { raw: { width: 64, height: 128, channels: 3, pageHeight: 64 } })
    .webp({ loop: 0, delay: [10, 10] })
    .toBuffer();

const kinds: readonly (readonly [string, () => Promise<Buffer> | Buffer, string, string])[] = [
  ["AVIF", () => flat(80, 60).avif({ effort: 0 }).toBuffer(), "image_type_unsupported", "type"],
  ["GIF", () => flat(80, 60).gif().toBuffer(), "image_type_unsupported", "type"],
  ["animated GIF", () => pictures.animatedGif, "image_type_unsupported", "type"],
  ["animated WebP", animatedWebp, "image_type_unsupported", "type"],
  ["CMYK JPEG", pictures.cmykJpeg, "image_type_unsupported", "type"],
  ["JPEG of 25 megapixels", () => flat(5000, 5000).jpeg().toBuffer(), "image_too_large", "size"],
  [
    "progressive JPEG of 12 megapixels with all its colours",
    () => flat(4000, 3000).jpeg({ progressive: true, chromaSubsampling: "4:4:4" }).toBuffer(),
    "image_too_large",
    "size",
  ],
];

describe("taken with the binding, refused without", () => {
  test.each(kinds)("%s", async (_, make, code, because) => {
    const file = await make();
    const response = await bound.upload("/v1/caption", file);
    const answer = (await response.json()) as { image_id: string; image_exact?: boolean };
    expect(response.status, JSON.stringify(answer)).toBe(200);
    expect(answer.image_exact).toBe(false);
    expect(bound.lastEvent()).toMatchObject({ image_inexact: because, image_type: "png" });
    const byId = { image: { image_id: answer.image_id } };
    expect(await (await bound.json("/v1/caption", byId)).json()).toEqual(answer);

    const refused = await unbound.upload("/v1/caption", file);
    const problem = await expectProblem(refused, code as "image_too_large", "caption");
    expect(problem.detail).toMatch(/Convert|Send/);
  });

  test("every route says so, and none of a picture that was read exactly", async () => {
    const gif = await flat(40, 40).gif().toBuffer();
    const asked: readonly (readonly [string, unknown])[] = [
      ["/v1/vqa", { question: "a?" }],
      ["/v1/match", { texts: ["a"] }],
      ["/v1/classify", { labels: ["a", "b"] }],
      ["/v1/embed", {}],
    ];
    for (const [path, request] of asked) {
      const inexact = await (await bound.upload(path, gif, request)).json();
      expect(inexact, path).toMatchObject({ image_exact: false });
      const exact = await bound.upload(path, await pictures.png(7), request);
      expect(exact.status).toBe(200);
      expect(await exact.json(), path).not.toHaveProperty("image_exact");
    }
  });

  test("a progressive photo of 12 megapixels needs no binding", async () => {
    const photo = await flat(4000, 3000).jpeg({ progressive: true }).toBuffer();
    const response = await unbound.upload("/v1/caption", photo);
    expect(response.status).toBe(200);
    expect(await response.json()).not.toHaveProperty("image_exact");
  });
});

describe("refused with the binding as well", () => {
  const heic = Buffer.from("00000018667479706865696300000000686569636d696631", "hex");
  test.each([
    ["SVG", () => pictures.svg, "image_not_recognised"],
    ["HTML", () => pictures.html, "image_not_recognised"],
    ["a header that claims 65,000 x 65,000", pictures.pngBomb, "image_too_large"],
    ["a header that claims 10,000 x 10,000", pictures.hugeJpeg, "image_corrupt"],
    ["cut off", pictures.truncatedJpeg, "image_corrupt"],
    ["a HEIC of its first bytes", () => heic, "image_corrupt"],
    ["TIFF", () => flat(8, 8).tiff().toBuffer(), "image_type_unsupported"],
  ] as const)("%s", async (_, make, code) => {
    const response = await bound.upload("/v1/caption", await make());
    const problem = await expectProblem(response, code, "caption");
    expect(problem.detail).not.toMatch(/sharp|vips|heif|9\d{3}|at \w+ \(/i);
  });
});
