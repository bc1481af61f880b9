// `blip2 match IMAGE TEXT... --model DIR`: how well texts fit one picture, over one look at it.
import { loadRetrievalModel } from "../runtime/load-model.ts";
import { eachImage } from "./each-image.ts";
import type { CliIo } from "./io.ts";
import { parseFlags, usageError } from "./parse-flags.ts";
import { parseProvider, providerFlag, providerUsage } from "./provider-flag.ts";

export const matchUsage = `blip2 match IMAGE TEXT... --model DIR ${providerUsage} [--json]`;
export const matchHelp = `  itm  image-text matching: the probability that the text describes the picture
  itc  image-text contrastive: the best cosine of the picture's vectors with the text's`;

/** Exit status: 0 when every text has its scores. Errors: AppError, for the entry to print. */
export async function match(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseFlags(
    args,
    { model: { type: "string" }, json: { type: "boolean", default: false }, ...providerFlag },
    matchUsage,
  );
  const [image, ...texts] = positionals;
  if (image === undefined || texts.length === 0 || values.model === undefined) {
    throw usageError("Give one image, at least one text and --model", matchUsage);
  }
  if (texts.some((text) => text.trim() === "")) throw usageError("A text is empty", matchUsage);
  const { json } = values;
  return eachImage(
    {
      images: [image],
      modelDir: values.model,
      load: loadRetrievalModel,
      provider: parseProvider(values.provider, matchUsage),
      json,
      async work(model, path, { imageId, pixels }) {
        const seen = await model.lookAt(pixels);
        const matches = await model.match(seen, texts, ["itm", "itc"], io);
        const { name, model_revision } = model.manifest;
        matches.forEach(({ itm = NaN, itc = NaN }, at) => {
          const text = texts[at];
          if (json) {
            const about = { image: path, image_id: imageId, text, itm, itc };
            io.stdout(JSON.stringify({ ...about, model: name, model_revision }));
          } else {
            io.stdout(`itm ${itm.toFixed(4)}  itc ${itc.toFixed(4).padStart(7)}  ${text}`);
          }
        });
      },
    },
    io,
  );
}
