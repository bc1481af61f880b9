// Draws the sample pictures and what is true of them: `draw-samples.ts INDEX...`, scenes of the samples' own seed.
// The last is written as a JPEG, since most pictures in the world are.

import { writeFile } from "node:fs/promises";
import { writeExam } from "../evaluate/exam.ts";
import { drawScene } from "../scenes/draw.ts";
import { openDrawings } from "../scenes/drawings.ts";
import { encodeJpeg, encodePng } from "../scenes/raster.ts";

const seed = 2026;
const side = 512;

const chosen = process.argv.slice(2).map(Number);
if (chosen.length === 0 || !chosen.every(Number.isInteger)) {
  console.error("usage: draw-samples.ts INDEX...");
  process.exit(2);
}

const drawings = await openDrawings(undefined, Math.ceil(side * 0.75));
const exam = writeExam(seed, Math.max(...chosen) + 1, drawings.styles);
const samples = [];
for (const [at, index] of chosen.entries()) {
  const item = exam[index];
  if (item === undefined) throw new Error(`no scene ${index}`);
  const jpeg = at === chosen.length - 1;
  const name = item.caption.replace(/ on an? \w+ background$/, "").replaceAll(/[^a-z]+/g, "-");
  const file = `${name}.${jpeg ? "jpg" : "png"}`;
  const image = await drawScene(item.scene, side, drawings);
  await writeFile(
    new URL(file, import.meta.url),
    await (jpeg ? encodeJpeg(image) : encodePng(image)),
  );
  samples.push({ file, seed, index, caption: item.caption, questions: item.questions });
}
await writeFile(
  new URL("samples.json", import.meta.url),
  `${JSON.stringify({ about: "What is true of the pictures beside this file.", samples }, null, 2)}\n`,
);
