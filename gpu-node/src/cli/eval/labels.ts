// `blip2 eval labels`: which of many labels are true of a picture, by the nearest of its query vectors; with
// --calibrate the curve and the cut-off are written beside the artifact.
import { defaultLabelTemplate } from "@blip2-edge/shared/contracts/classify";
import { applyTemplate } from "@blip2-edge/shared/contracts/question-template";
import { probabilityOf, wordsIn } from "@blip2-edge/shared/wire/calibration";
import { writeCalibration } from "../../artifact/calibration-file.ts";
import { openArtifact } from "../../artifact/open-artifact.ts";
import { bestCosine } from "../../evaluate/best-cosine.ts";
import { fitLabels } from "../../evaluate/fit-labels.ts";
import { readLabelFile } from "../../evaluate/label-file.ts";
import { loadRetrievalModel } from "../../runtime/load-model.ts";
import type { CliIo } from "../io.ts";
import { usageError } from "../parse-flags.ts";
import { createPixelReader, findPictures, readData } from "./data.ts";
import { createProgress } from "./progress.ts";
import { type Finished, inReport, inWords } from "./report.ts";
import { type EvalSettings, evalUsage } from "./settings.ts";
import { aboutModel, takeFirst } from "./source.ts";

export async function evaluateLabels(
  settings: EvalSettings,
  io: CliIo,
): Promise<Finished & { readonly finish: () => Promise<void> }> {
  const { source } = settings;
  if ("predictions" in source) throw usageError("Labels need a model", evalUsage);
  const file = await readData(settings.annotations, io.signal);
  const { labels, pictures: all } = readLabelFile(file);
  const { items, notes } = takeFirst(all, settings.limit, "pictures");
  const { manifest, folder } = await openArtifact(source.model);
  const paths = await findPictures(source.images, items);
  io.stderr(`loading ${source.model}`);
  const model = await loadRetrievalModel(source.model, { signal: io.signal });
  try {
    const readPixels = createPixelReader();
    const progress = createProgress(io.stderr);
    const texts = labels.map((label) => applyTemplate(defaultLabelTemplate, label));
    const embedded = await model.embedTexts(texts, { signal: io.signal });
    const cosines: number[][] = labels.map(() => []);
    for (const [picture] of items.entries()) {
      io.signal.throwIfAborted();
      const pixels = await readPixels(paths[picture] ?? "", manifest.image.size);
      const { projected } = await model.lookAt(pixels);
      for (const [at, { projected: text }] of embedded.entries()) {
        cosines[at]?.push(bestCosine(projected.data, text.data));
      }
      progress("pictures", picture + 1, items.length);
    }
    const facts = embedded.map(({ projected }, at) => ({
      words: wordsIn(texts[at] ?? ""),
      vector: projected.data,
    }));
    const { curve, precision, recall } = fitLabels(
      labels.map((label, at) => ({
        facts: facts[at] ?? { words: 1, vector: [] },
        scores: cosines[at] ?? [],
        isTrue: items.map(({ labels: truth }) => truth.has(label)),
      })),
    );
    const scores = { precision: inReport(precision), recall: inReport(recall) };
    const measured = { pictures: items.length, labels: labels.length };
    if (settings.calibrate) {
      await writeCalibration(folder, manifest, {
        calibration: { label: curve },
        measured: { labels: { annotations: file.sha256, ...measured, scores } },
      });
    }
    const title = `labels: ${labels.length} labels, ${items.length} pictures`;
    const about = aboutModel(manifest);
    const subtitle = `${about.name} ${about.model_revision}`;
    const figures = [
      { name: "precision", value: precision },
      { name: "recall", value: recall },
    ];
    return {
      finish: async () => {},
      report: {
        format: "blip2-edge/evaluation/v1",
        task: "labels",
        model: about,
        settings: { limit: settings.limit, template: defaultLabelTemplate },
        data: {
          annotations: { file: file.name, sha256: file.sha256 },
          images: source.images,
          ...measured,
          of_pictures: all.length,
        },
        scores: { ...scores, curve },
        notes,
        items: items.map(({ id, labels: truth }, picture) => ({
          image_id: id,
          true: [...truth],
          taken: labels.filter((_, at) => {
            const cosine = cosines[at]?.[picture] ?? NaN;
            return probabilityOf(curve, cosine, facts[at]) >= curve.min_score;
          }),
        })),
      },
      plot: {
        title,
        subtitle,
        groups: [
          {
            title:
              "half of the pictures and labels, by the other half's curve; line: standard error",
            bars: figures.map(({ name, value }) => ({
              label: name,
              text: inWords(value),
              share: value.value,
              shareError: value.standardError,
            })),
          },
        ],
      },
      lines: [
        `${title} (${subtitle})`,
        ...figures.map(({ name, value }) => `  ${name.padEnd(9)} ${inWords(value)}`),
        `  cut-off   ${curve.min_score}`,
      ],
    };
  } finally {
    await model.close();
  }
}
