// `blip2 trace IMAGE --model DIR --out FILE`: the tensors of one pass, for comparison with the reference. Which
// they are depends on the model's family.
import { loadModel } from "../runtime/load-model.ts";
import { writeSafetensors } from "../tensor/safetensors-file.ts";
import { eachImage } from "./each-image.ts";
import type { CliIo } from "./io.ts";
import { parseFlags, usageError } from "./parse-flags.ts";
import { parseProvider, providerFlag, providerUsage } from "./provider-flag.ts";

export const traceUsage = `blip2 trace IMAGE --model DIR [--text TEXT] --out FILE.safetensors ${providerUsage} [--json]`;

/** Exit status: 0 when the file stands, whole. Errors: AppError, for the entry to print. */
export async function trace(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseFlags(
    args,
    {
      model: { type: "string" },
      text: { type: "string" },
      out: { type: "string" },
      json: { type: "boolean", default: false },
      ...providerFlag,
    },
    traceUsage,
  );
  const { model: modelDir, out, text = null, json } = values;
  if (positionals.length !== 1 || modelDir === undefined || out === undefined) {
    throw usageError("Give one image, --model and --out", traceUsage);
  }
  return eachImage(
    {
      images: positionals,
      modelDir,
      load: loadModel,
      provider: parseProvider(values.provider, traceUsage),
      json,
      async work(model, path, { imageId, pixels }) {
        const tensors = await model.trace(pixels, text);
        await writeSafetensors(out, tensors, io.signal);
        const shapes = Object.fromEntries(
          Object.entries(tensors).map(([name, tensor]) => [name, tensor.dims]),
        );
        if (json) {
          io.stdout(JSON.stringify({ image: path, image_id: imageId, out, tensors: shapes }));
          return;
        }
        for (const [name, dims] of Object.entries(shapes)) {
          io.stdout(`${name} [${dims.join(", ")}]`);
        }
      },
    },
    io,
  );
}
