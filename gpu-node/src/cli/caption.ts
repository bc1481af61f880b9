// `blip2 caption IMAGE... --model DIR`: what is in these pictures?
import { eachImage } from "./each-image.ts";
import {
  generationFlags,
  generationUsage,
  parseGeneration,
  spellOutFlags,
  withNotes,
} from "./generation-flags.ts";
import { loadGenerationModel } from "../runtime/load-model.ts";
import type { CliIo } from "./io.ts";
import { parseFlags, usageError } from "./parse-flags.ts";
import { parseProvider, providerFlag, providerUsage } from "./provider-flag.ts";

export const captionUsage = `blip2 caption IMAGE... --model DIR [--prompt TEXT] ${generationUsage} ${providerUsage} [--json]`;

/** Exit status: 0 when every image has its caption. Errors: AppError, for the entry to print. */
export async function caption(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseFlags(
    spellOutFlags(args),
    {
      model: { type: "string" },
      prompt: { type: "string" },
      json: { type: "boolean", default: false },
      ...providerFlag,
      ...generationFlags,
    },
    captionUsage,
  );
  if (positionals.length === 0 || values.model === undefined) {
    throw usageError("Give at least one image and --model", captionUsage);
  }
  const { generation, notes } = parseGeneration(values, captionUsage);
  for (const note of notes) io.stderr(note);
  const { prompt = null, json } = values;
  return eachImage(
    {
      images: positionals,
      modelDir: values.model,
      load: loadGenerationModel,
      provider: parseProvider(values.provider, captionUsage),
      json,
      async work(model, path, { imageId, pixels }) {
        const { projected } = await model.lookAt(pixels);
        const { results } = await model.generate(projected.data, [prompt], generation, io);
        for (const result of results) {
          const { name, model_revision } = model.manifest;
          if (json) {
            const about = { image: path, image_id: imageId, ...withNotes(result, notes) };
            io.stdout(JSON.stringify({ ...about, model: name, model_revision }));
          } else {
            for (const note of result.notes ?? []) io.stderr(note);
            for (const { text } of result.sequences ?? [result]) {
              io.stdout(positionals.length === 1 ? text : `${path}: ${text}`);
            }
          }
        }
      },
    },
    io,
  );
}
