// Scenes from the command line: `stream` feeds training, `sheet` draws a page of examples to look at.

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { captionsOf } from "./captions.ts";
import { writeCoco } from "./coco.ts";
import type { StyleWeights } from "./compose.ts";
import { composeScene } from "./compose.ts";
import type { Drawings } from "./drawings.ts";
import { openDrawings, shippedSpriteFiles } from "./drawings.ts";
import { drawScene } from "./draw.ts";
import { createRandom } from "./random.ts";
import { encodePng } from "./raster.ts";
import { writeSamples } from "./samples.ts";
import { streamScenes } from "./stream.ts";
import { things } from "./vocabulary.ts";

const usage = `usage: main.ts stream|sheet|samples|coco|nouns|plurals [--seed N] [--from N] [--count N] [--size PIXELS] [--questions N]
         [--falses N]          statements for the retrieval model: two true ones and N false ones a scene (stream)
         [--sprites FILE]...   more styles than the shipped ones (repeatable)
         [--only]              none of the shipped ones
         [--mix training]      extra helpings of hard scenes (stream)
         [--out FILE.png]      (sheet)
         coco --seed N --count N --out DIR   an exam as COCO-format files and pictures, for blip2 eval
         samples INDEX...      draw these scenes of the samples' seed into ../samples`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    count: { type: "string", default: "1000000000" },
    size: { type: "string", default: "112" },
    questions: { type: "string", default: "4" },
    falses: { type: "string", default: "0" },
    sprites: { type: "string", multiple: true, default: [] },
    only: { type: "boolean", default: false },
    mix: { type: "string", default: "mixed" },
    out: { type: "string", default: "sheet.png" },
  },
});

const side = Number(values.size);
const seed = Number(values.seed);

async function main(): Promise<void> {
  if (positionals[0] === "nouns") {
    console.log(JSON.stringify(things.map((thing) => thing.noun)));
    return;
  }
  if (positionals[0] === "plurals") {
    console.log(
      JSON.stringify(Object.fromEntries(things.map((thing) => [thing.plural, thing.noun]))),
    );
    return;
  }
  if (positionals[0] === "samples" && positionals.length > 1) {
    await writeSamples(positionals.slice(1).map(Number), new URL("../samples/", import.meta.url));
    return;
  }
  if (positionals[0] === "coco") {
    const count = Number(values.count);
    // The defaults are those of a stream and of a sheet.
    if (!(count >= 1 && count <= 100_000 && seed >= 0) || values.out.endsWith(".png")) {
      console.error(usage);
      process.exitCode = 2;
      return;
    }
    await writeCoco({ seed, count, out: values.out }, await openDrawings());
    return;
  }
  const shipped = values.only ? [] : shippedSpriteFiles;
  const drawings = await openDrawings([...shipped, ...values.sprites], Math.ceil(side * 0.86));
  const styles = styleWeights(drawings.styles, shipped.length);
  switch (positionals[0]) {
    case "stream":
      await streamScenes(
        {
          seed,
          side,
          from: Number(values.from),
          count: Number(values.count),
          questions: Number(values.questions),
          falses: Number(values.falses),
          styles,
          mixes:
            values.mix === "training"
              ? { mixed: 0.5, counting: 0.25, pairs: 0.17, crowded: 0.08 }
              : { mixed: 1 },
        },
        drawings,
        process.stdout,
      );
      return;
    case "sheet":
      await sheet(drawings, styles);
      return;
    default:
      console.error(usage);
      process.exitCode = 2;
  }
}

/** The shipped styles are what is measured: beside others they get 70 % of the objects. */
function styleWeights(styles: readonly string[], shipped: number): StyleWeights {
  const extra = styles.length - shipped;
  const share = extra > 0 && shipped > 0 ? 0.7 : 1;
  return Object.fromEntries(
    styles.map((style, index) => [
      style,
      index < shipped ? share / shipped : (shipped > 0 ? 1 - share : 1) / extra,
    ]),
  );
}

/** Six columns by four rows; their captions go to standard output. */
async function sheet(drawings: Drawings, styles: StyleWeights): Promise<void> {
  const [columns, rows] = [6, 4];
  const page = {
    width: columns * side,
    height: rows * side,
    data: new Uint8Array(columns * rows * side * side * 3),
  };
  for (let index = 0; index < columns * rows; index++) {
    const scene = composeScene(createRandom(seed, Number(values.from) + index), styles);
    const image = await drawScene(scene, side, drawings);
    const left = (index % columns) * side;
    const top = Math.floor(index / columns) * side;
    for (let y = 0; y < side; y++) {
      page.data.set(
        image.data.subarray(y * side * 3, (y + 1) * side * 3),
        ((top + y) * page.width + left) * 3,
      );
    }
    console.log(captionsOf(scene)[0]);
  }
  await writeFile(values.out, await encodePng(page));
}

// A reader that has seen enough closes the pipe; that is an end, not an error.
process.stdout.on("error", (error: NodeJS.ErrnoException) =>
  process.exit(error.code === "EPIPE" ? 0 : 1),
);
await main();
