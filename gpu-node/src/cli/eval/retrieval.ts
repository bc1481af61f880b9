// `blip2 eval retrieval`: every picture looks for its texts and every text for its picture.
import { resolve } from "node:path";
import { openArtifact } from "../../artifact/open-artifact.ts";
import { readCaptionFile } from "../../evaluate/caption-file.ts";
import { type BothWays, compareRetrieval, type Matched } from "../../evaluate/compare-retrieval.ts";
import { lavisCaption } from "../../evaluate/lavis-text.ts";
import { type Recalls, recallDepths } from "../../evaluate/recall.ts";
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

export async function evaluateRetrieval(
  settings: EvalSettings,
  io: CliIo,
): Promise<Finished & { readonly finish: () => Promise<void> }> {
  const { source, preset } = settings;
  if ("predictions" in source) throw usageError("Retrieval needs a model", evalUsage);
  const file = await readData(settings.annotations, io.signal);
  const all = readCaptionFile(file);
  const { items, notes } = takeFirst(all, settings.limit, "pictures");
  const { manifest } = await openArtifact(source.model);
  const paths = await findPictures(source.images, items);
  const texts = items.flatMap(({ captions }) =>
    captions.map((caption) => (preset.text === "lavis" ? lavisCaption(caption) : caption)),
  );
  const pictureOf = items.flatMap(({ captions }, picture) => captions.map(() => picture));
  const textsOfPicture = Map.groupBy(pictureOf.keys(), (place) => pictureOf[place] ?? -1);

  const about = aboutModel(manifest);
  const { text, maxTextTokens, kTest } = preset;
  const decided = {
    preset: settings.presetName,
    text,
    max_text_tokens: maxTextTokens,
    k_test: kTest,
  };
  io.stderr(`loading ${source.model}`);
  const model = await loadRetrievalModel(source.model, { signal: io.signal });
  const kept = await openPartialResults<Matched>(settings.report, {
    task: settings.task,
    model: about.name,
    model_revision: about.model_revision,
    ...decided,
    limit: settings.limit,
    annotations: file.sha256,
    images: resolve(source.images),
  }).catch(async (error: unknown) => {
    await model.close();
    throw error;
  });
  try {
    if (kept.found.length > 0) io.stderr(`going on after ${kept.found.length} of ${items.length}`);
    const options = {
      signal: io.signal,
      ...(maxTextTokens === null ? {} : { maxTokens: maxTextTokens }),
    };
    const size = manifest.image.size;
    const asked = askedModel({ model, size, paths, texts, options, signal: io.signal });
    const result = await compareRetrieval(
      { pictures: items.length, pictureOf },
      {
        ...asked,
        matchLogits: async (picture, places) => {
          const embeds = await asked.imageEmbeds(picture);
          const logits = await model.matchLogits(embeds, asked.textsAt(places), options);
          return logits.map(([, yes]) => yes);
        },
      },
      {
        kTest,
        known: new Map(kept.found.map((matched) => [matched.picture, matched])),
        onMatched: kept.add,
        onProgress: createProgress(io.stderr),
      },
    );

    const title = `retrieval: ${items.length} pictures, ${texts.length} texts`;
    const subtitle = `${about.name} ${about.model_revision}, ${settings.presetName}, k ${kTest}`;
    const groups = [
      { name: "ITC", recalls: result.itc },
      ...(result.itm === null ? [] : [{ name: "ITC, then ITM", recalls: result.itm }]),
    ];
    const byDepth = (recalls: Recalls) =>
      recallDepths.map((depth) => ({ depth, ...recalls[`R@${depth}`] }));
    const both = ({ imageToText, textToImage }: BothWays<Recalls>) => [
      { name: "image to text", recalls: byDepth(imageToText) },
      { name: "text to image", recalls: byDepth(textToImage) },
    ];
    const inScores = (recalls: BothWays<Recalls>) =>
      Object.fromEntries(
        both(recalls).map(({ name, recalls: found }) => [
          name.replaceAll(" ", "_"),
          Object.fromEntries(found.map((each) => [`R@${each.depth}`, inReport(each)])),
        ]),
      );
    const { ranks } = result;
    return {
      finish: kept.remove,
      report: {
        format: "blip2-edge/evaluation/v1",
        task: "retrieval",
        model: about,
        settings: { ...decided, limit: settings.limit },
        data: {
          annotations: { file: file.name, sha256: file.sha256 },
          images: source.images,
          pictures: items.length,
          of_pictures: all.length,
          texts: texts.length,
        },
        scores: {
          itc: inScores(result.itc),
          itm: result.itm === null ? null : inScores(result.itm),
        },
        notes,
        items: items.map(({ id, file: name, captions }, picture) => ({
          image_id: id,
          file: name,
          rank: ranks.itm?.imageToText[picture] ?? ranks.itc.imageToText[picture],
          texts: captions.map((caption, at) => {
            const place = textsOfPicture.get(picture)?.[at] ?? -1;
            const rank = ranks.itm?.textToImage[place] ?? ranks.itc.textToImage[place];
            return { text: caption, rank };
          }),
        })),
      },
      plot: {
        title,
        subtitle,
        groups: groups.map(({ name, recalls }) => ({
          title: `${name}; line: standard error`,
          bars: both(recalls).flatMap((way) =>
            way.recalls.map((each) => ({
              label: `${way.name} R@${each.depth}`,
              text: inWords(each),
              share: each.value,
              shareError: each.standardError,
            })),
          ),
        })),
      },
      lines: [
        `${title} (${subtitle})`,
        ...groups.flatMap(({ name, recalls }) => [
          name,
          ...both(recalls).flatMap((way) =>
            way.recalls.map(
              (each) => `  ${way.name} R@${String(each.depth).padEnd(2)} ${inWords(each)}`,
            ),
          ),
        ]),
      ],
    };
  } finally {
    await kept.close();
    await model.close();
  }
}
