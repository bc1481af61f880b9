// Where the texts of captions and answers come from: a file that was made elsewhere, or a model that writes
// them now, with the same head for the report either way.
import { resolve } from "node:path";
import { openArtifact } from "../../artifact/open-artifact.ts";
import type { Manifest } from "../../artifact/manifest.ts";
import { type PredictionKind, readPredictions } from "../../evaluate/prediction-file.ts";
import { loadGenerationModel } from "../../runtime/load-model.ts";
import type { CliIo } from "../io.ts";
import { createImageReader } from "../read-image.ts";
import { findPictures, readData } from "./data.ts";
import { openPartialResults } from "./partial-results.ts";
import { createProgress } from "./progress.ts";
import type { Report } from "./report.ts";
import type { EvalSettings } from "./settings.ts";
import { writeTexts, type Written } from "./write-texts.ts";

export interface SourceItem {
  readonly id: string | number;
  readonly file: string | null;
}

export interface SourceRequest<Item extends SourceItem> {
  readonly kind: PredictionKind;
  readonly items: readonly Item[];
  /** Before a limit. */
  readonly allIds: readonly (string | number)[];
  /** What the model reads after the picture. */
  readonly textOf: (item: Item, manifest: Manifest) => string | null;
  /** What decides the texts besides the model and the generation: prompt, template, data. */
  readonly head: (manifest: Manifest) => Readonly<Record<string, unknown>>;
}

export interface Sourced {
  readonly texts: readonly string[];
  readonly model: Report["model"];
  readonly settings: Readonly<Record<string, unknown>>;
  readonly data: Readonly<Record<string, unknown>>;
  readonly notes: readonly string[];
  /** For when the report stands. */
  readonly finish: () => Promise<void>;
}

export const aboutModel = (manifest: Manifest): NonNullable<Report["model"]> => ({
  name: manifest.name,
  model_revision: manifest.model_revision,
  family: manifest.family,
  precision: manifest.precision.name,
  image_size: manifest.image.size,
});

export async function sourceTexts<Item extends SourceItem>(
  request: SourceRequest<Item>,
  settings: EvalSettings,
  io: CliIo,
): Promise<Sourced> {
  const { source } = settings;
  const { items } = request;
  if ("predictions" in source) {
    const file = await readData(source.predictions, io.signal);
    const ids = items.map(({ id }) => id);
    return {
      texts: readPredictions(file, request.kind, ids, request.allIds),
      model: null,
      settings: {},
      data: { predictions: { file: file.name, sha256: file.sha256 } },
      notes: [],
      finish: async () => {},
    };
  }

  const { manifest } = await openArtifact(source.model);
  const paths = await findPictures(source.images, items);
  const { generation, notes } = settings.generationFor(manifest.family === "t5" ? "t5" : "opt");
  for (const note of notes) io.stderr(note);
  const about = aboutModel(manifest);
  const decided = { preset: settings.presetName, ...request.head(manifest), generation };
  io.stderr(`loading ${source.model}`);
  const model = await loadGenerationModel(source.model, { signal: io.signal });
  try {
    const kept = await openPartialResults<Written>(settings.report, {
      task: settings.task,
      model: about.name,
      model_revision: about.model_revision,
      ...decided,
      images: resolve(source.images),
    });
    try {
      if (kept.found.length > 0)
        io.stderr(`going on after ${kept.found.length} of ${items.length}`);
      const progress = createProgress(io.stderr);
      const texts = await writeTexts(
        model,
        items.map((item, at) => ({
          id: item.id,
          path: paths[at] ?? "",
          text: request.textOf(item, manifest),
        })),
        {
          generation,
          batch: settings.batch,
          readImage: createImageReader(),
          kept,
          signal: io.signal,
          onProgress: (done, of) => progress(request.kind, done, of),
        },
      );
      return {
        texts,
        model: about,
        settings: decided,
        data: { images: source.images },
        notes,
        finish: kept.remove,
      };
    } finally {
      await kept.close();
    }
  } finally {
    await model.close();
  }
}

/** What a limit leaves, and the words for it. */
export function takeFirst<T>(
  all: readonly T[],
  limit: number | null,
  what: string,
): { readonly items: readonly T[]; readonly notes: readonly string[] } {
  if (limit === null || limit >= all.length) return { items: all, notes: [] };
  return {
    items: all.slice(0, limit),
    notes: [`Of ${all.length} ${what} the first ${limit} were taken (--limit).`],
  };
}
