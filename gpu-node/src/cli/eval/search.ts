// `blip2 eval search`: texts look for the pictures that they are true of, by each stage of a search; with
// --calibrate what their scores mean is written beside the artifact.
import { resolve } from "node:path";
import { type Curve, wordsIn } from "@blip2-edge/shared/wire/calibration";
import { readTextFile } from "../../evaluate/text-file.ts";
import { readCaptionFile } from "../../evaluate/caption-file.ts";
import { writeCalibration } from "../../artifact/calibration-file.ts";
import {
  compareSearch,
  judgedHits,
  type JudgedPicture,
  type SearchStage,
  searchStages,
} from "../../evaluate/compare-search.ts";
import { fitStage } from "../../evaluate/fit-stage.ts";
import { meanOf } from "../../evaluate/standard-error.ts";
import { openArtifact } from "../../artifact/open-artifact.ts";
import { loadRetrievalModel } from "../../runtime/load-model.ts";
import type { CliIo } from "../io.ts";
import { usageError } from "../parse-flags.ts";
import { askedModel } from "./asked-model.ts";
import { findPictures, readData } from "./data.ts";
import { openPartialResults } from "./partial-results.ts";
import { createProgress } from "./progress.ts";
import { type Finished, inReport, inWords } from "./report.ts";
import { type EvalSettings, evalUsage } from "./settings.ts";
import { aboutModel, takeFirst } from "./source.ts";

const stageNames = {
  text_mean: "averaged vector",
  itc: "max-similarity",
  itm: `ITM of the first ${judgedHits}`,
} as const;

export async function evaluateSearch(
  settings: EvalSettings,
  io: CliIo,
): Promise<Finished & { readonly finish: () => Promise<void> }> {
  const { source } = settings;
  if ("predictions" in source) throw usageError("Search needs a model", evalUsage);
  const file = await readData(settings.annotations, io.signal);
  const all = readCaptionFile(file);
  const { items, notes } = takeFirst(all, settings.limit, "pictures");
  const { manifest, folder } = await openArtifact(source.model);
  const paths = await findPictures(source.images, items);
  // One text may be true of several pictures: it is asked once, and any of them answers.
  const answersOf = new Map<string, Set<number>>();
  for (const [picture, { captions }] of items.entries()) {
    for (const caption of captions) {
      const known = answersOf.get(caption);
      if (known === undefined) answersOf.set(caption, new Set([picture]));
      else known.add(picture);
    }
  }
  const unanswered =
    settings.unanswered === undefined
      ? undefined
      : readTextFile(await readData(settings.unanswered, io.signal));
  for (const text of unanswered ?? []) {
    if (!answersOf.has(text)) answersOf.set(text, new Set());
  }
  const texts = [...answersOf.keys()];
  const answers = [...answersOf.values()];
  const about = aboutModel(manifest);
  io.stderr(`loading ${source.model}`);
  const model = await loadRetrievalModel(source.model, { signal: io.signal });
  const kept = await openPartialResults<JudgedPicture>(settings.report, {
    task: settings.task,
    model: about.name,
    model_revision: about.model_revision,
    limit: settings.limit,
    annotations: file.sha256,
    texts,
    images: resolve(source.images),
  }).catch(async (error: unknown) => {
    await model.close();
    throw error;
  });
  try {
    if (kept.found.length > 0) io.stderr(`going on after ${kept.found.length} of ${items.length}`);
    const options = { signal: io.signal };
    const size = manifest.image.size;
    const asked = askedModel({ model, size, paths, texts, options, signal: io.signal });
    const found = await compareSearch(
      { pictures: items.length, answers },
      {
        ...asked,
        match: async (picture, places) => {
          const imageEmbeds = await asked.imageEmbeds(picture);
          const captions = asked.textsAt(places);
          const matches = await model.match({ imageEmbeds }, captions, ["itm"], options);
          return matches.map(({ itm = NaN }) => itm);
        },
      },
      {
        known: new Map(kept.found.map((judged) => [judged.picture, judged])),
        onJudged: kept.add,
        onProgress: createProgress(io.stderr),
      },
    );

    const stages = searchStages.map((stage) => {
      const ofStage = found.map((one, at) => ({
        ...one[stage],
        facts: { words: wordsIn(texts[at] ?? ""), vector: one.vector },
        isAnswered: (answers[at]?.size ?? 0) > 0,
      }));
      const answered = ofStage.filter(({ isAnswered }) => isAnswered);
      const rate = (is: (one: (typeof ofStage)[number]) => boolean) =>
        meanOf(answered.map((one) => (is(one) ? 1 : 0)));
      const fitted = attempt(() => fitStage(ofStage));
      return {
        stage,
        figures: [
          { name: "recall@1", value: rate(({ isRight }) => isRight) },
          { name: "recall@10", value: rate(({ inTen }) => inTen) },
          ...(fitted === undefined
            ? []
            : [
                { name: "refused", value: fitted.refused },
                { name: "no match", value: fitted.noMatch },
                ...(fitted.unanswered === undefined
                  ? []
                  : [{ name: "unanswered", value: fitted.unanswered }]),
              ]),
        ],
        curve: fitted?.curve,
      };
    });
    const unfitted = stages.filter(({ curve }) => curve === undefined);
    const curves: Partial<Record<SearchStage, Curve>> = {};
    for (const { stage, curve } of stages) if (curve !== undefined) curves[stage] = curve;
    const scores = Object.fromEntries(
      stages.map(({ stage, figures }) => [
        stage,
        Object.fromEntries(
          figures.map(({ name, value }) => [name.replaceAll(/[ @]/g, "_"), inReport(value)]),
        ),
      ]),
    );
    const data = {
      annotations: { file: file.name, sha256: file.sha256 },
      images: source.images,
      pictures: items.length,
      of_pictures: all.length,
      texts: texts.length,
    };
    if (settings.calibrate) {
      const { annotations, pictures } = data;
      await writeCalibration(folder, manifest, {
        calibration: { pictures: items.length, ...curves },
        measured: {
          search: { annotations: annotations.sha256, pictures, texts: texts.length, scores },
        },
      });
    }
    const title = `search: ${texts.length} texts, ${items.length} pictures`;
    const subtitle = `${about.name} ${about.model_revision}`;
    return {
      finish: kept.remove,
      report: {
        format: "blip2-edge/evaluation/v1",
        task: "search",
        model: about,
        settings: { limit: settings.limit, judged_hits: judgedHits },
        data,
        scores: { ...scores, curves },
        notes: [
          ...notes,
          ...unfitted.map(
            ({ stage }) =>
              `${stageNames[stage]}: no curve, its best hits are all right or all wrong.`,
          ),
        ],
        items: found.map(({ text_mean, itc, itm }, at) => ({
          text: texts[at],
          text_mean,
          itc,
          itm,
        })),
      },
      plot: {
        title,
        subtitle,
        groups: stages.map(({ stage, figures }) => ({
          title: `${stageNames[stage]}; line: standard error`,
          bars: figures.map(({ name, value }) => ({
            label: name,
            text: inWords(value),
            share: value.value,
            shareError: value.standardError,
          })),
        })),
      },
      lines: [
        `${title} (${subtitle})`,
        ...stages.flatMap(({ stage, figures, curve }) => [
          stageNames[stage],
          ...figures.map(({ name, value }) => `  ${name.padEnd(10)} ${inWords(value)}`),
          ...(curve === undefined ? [] : [`  cut-off    ${curve.min_score}`]),
        ]),
      ],
    };
  } finally {
    await kept.close();
    await model.close();
  }
}

/** Undefined where a curve cannot be fitted. */
function attempt<T>(fit: () => T): T | undefined {
  try {
    return fit();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
