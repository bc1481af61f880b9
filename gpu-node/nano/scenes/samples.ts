// The sample pictures that ship, and what is true of them: scenes of the samples' own seed, drawn large.

import { writeFile } from "node:fs/promises";
import { drawScene } from "./draw.ts";
import { openDrawings } from "./drawings.ts";
import { writeExam } from "./exam.ts";
import { encodeJpeg, encodePng } from "./raster.ts";

const samplesSeed = 2026;
const side = 512;

/** The last is written as a JPEG, since most pictures in the world are. `folder` ends with a slash. */
export async function writeSamples(chosen: readonly number[], folder: URL): Promise<void> {
  const drawings = await openDrawings(undefined, Math.ceil(side * 0.75));
  const exam = writeExam(samplesSeed, Math.max(...chosen) + 1, drawings.styles);
  const samples = [];
  for (const [at, index] of chosen.entries()) {
    const item = exam[index];
    if (item === undefined) throw new Error(`no scene ${index}`);
    const jpeg = at === chosen.length - 1;
    const name = item.caption.replace(/ on an? \w+ background$/, "").replaceAll(/[^a-z]+/g, "-");
    const file = `${name}.${jpeg ? "jpg" : "png"}`;
    const image = await drawScene(item.scene, side, drawings);
    await writeFile(new URL(file, folder), await (jpeg ? encodeJpeg(image) : encodePng(image)));
    samples.push({
      file,
      seed: samplesSeed,
      index,
      caption: item.caption,
      questions: item.questions,
    });
  }
  await writeFile(
    new URL("samples.json", folder),
    `${JSON.stringify({ about: "What is true of the pictures beside this file.", samples }, null, 2)}\n`,
  );
}
