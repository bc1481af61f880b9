// What the commands about pictures share: the model opened once, then image after image; one that fails is
// reported on its own line and the others are done.
import { AppError, toProblem } from "@blip2-edge/shared/problem";
import type { ProviderName } from "../runtime/providers.ts";
import type { LoadOptions, Model } from "../runtime/load-model.ts";
import type { CliIo } from "./io.ts";
import { createImageReader, type ReadImage } from "./read-image.ts";

export interface EachImageOptions<M extends Model> {
  readonly images: readonly string[];
  readonly modelDir: string;
  /** Opens a model that the command can use. */
  readonly load: (modelDir: string, options: LoadOptions) => Promise<M>;
  readonly provider: ProviderName;
  readonly json: boolean;
  readonly work: (model: M, path: string, image: ReadImage) => Promise<void>;
}

/** Exit status: 0 when every image was done, else 1. Errors: those of `load`. */
export async function eachImage<M extends Model>(
  options: EachImageOptions<M>,
  io: CliIo,
): Promise<number> {
  const { images, modelDir, load, provider, json, work } = options;
  io.stderr(`loading ${modelDir}`);
  const model = await load(modelDir, { provider, signal: io.signal });
  const readImage = createImageReader();
  let failed = 0;
  try {
    for (const path of images) {
      io.signal.throwIfAborted();
      try {
        await work(model, path, await readImage(path, model.manifest.image.size));
      } catch (error) {
        io.signal.throwIfAborted();
        if (!(error instanceof AppError)) throw error;
        failed += 1;
        if (json) io.stdout(JSON.stringify({ image: path, problem: toProblem(error) }));
        else io.stderr(`${path}: ${error.detail}`);
      }
    }
  } finally {
    await model.close();
  }
  return failed === 0 ? 0 : 1;
}
