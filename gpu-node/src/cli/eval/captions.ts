// `blip2 eval captions`: a caption for every picture, scored against what people wrote.
import { readCaptionFile } from "../../evaluate/caption-file.ts";
import { captionMetrics, scoreCaptions } from "../../evaluate/score-captions.ts";
import { bootstrapDraws, bootstrapSeed } from "../../evaluate/standard-error.ts";
import type { CliIo } from "../io.ts";
import { readData } from "./data.ts";
import { type Finished, inReport, inWords } from "./report.ts";
import type { EvalSettings } from "./settings.ts";
import { sourceTexts, takeFirst } from "./source.ts";

/** CIDEr of a caption like all its references, and then some. */
const fullCider = 10;

export async function evaluateCaptions(
  settings: EvalSettings,
  io: CliIo,
): Promise<Finished & { readonly finish: () => Promise<void> }> {
  const file = await readData(settings.annotations, io.signal);
  const all = readCaptionFile(file);
  const { items, notes } = takeFirst(all, settings.limit, "pictures");
  const { prompt } = settings.preset;
  const annotations = { file: file.name, sha256: file.sha256 };
  const made = await sourceTexts(
    {
      kind: "captions",
      items,
      allIds: all.map(({ id }) => id),
      textOf: () => prompt,
      head: () => ({ prompt, annotations: annotations.sha256 }),
    },
    settings,
    io,
  );

  const references = items.map(({ captions }) => captions);
  const { corpus, each } = scoreCaptions(
    made.texts.map((caption, at) => ({ caption, references: references[at] ?? [] })),
  );
  const count = references.reduce((sum, { length }) => sum + length, 0);
  const title = `captions: ${items.length} pictures, ${count} references`;
  const about =
    made.model === null
      ? "made elsewhere"
      : `${made.model.name} ${made.model.model_revision}, ${settings.presetName}`;
  const figures = captionMetrics.map((name) => ({ name, estimate: corpus[name] }));
  return {
    finish: made.finish,
    report: {
      format: "blip2-edge/evaluation/v1",
      task: "captions",
      model: made.model,
      settings: {
        ...made.settings,
        limit: settings.limit,
        standard_errors: { method: "bootstrap", draws: bootstrapDraws, seed: bootstrapSeed },
      },
      data: {
        annotations,
        ...made.data,
        pictures: items.length,
        of_pictures: all.length,
        references: count,
      },
      scores: Object.fromEntries(figures.map(({ name, estimate }) => [name, inReport(estimate)])),
      notes: [...notes, ...made.notes],
      items: items.map(({ id, file }, at) => ({
        image_id: id,
        file,
        caption: made.texts[at],
        cider: each[at]?.cider,
        rouge_l: each[at]?.rougeL,
      })),
    },
    plot: {
      title,
      subtitle: about,
      groups: [
        {
          title: "CIDEr of 10, the others of 1; line: standard error",
          bars: figures.map(({ name, estimate }) => {
            const full = name === "CIDEr" ? fullCider : 1;
            return {
              label: name,
              text: inWords(estimate),
              share: estimate.value / full,
              shareError: estimate.standardError / full,
            };
          }),
        },
      ],
      spread: {
        title: "CIDEr of each picture",
        from: 0,
        to: fullCider,
        values: each.map(({ cider }) => cider),
      },
    },
    lines: [
      `${title} (${about})`,
      ...figures.map(({ name, estimate }) => `${name.padEnd(8)} ${inWords(estimate)}`),
    ],
  };
}
