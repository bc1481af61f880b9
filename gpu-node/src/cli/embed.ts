// `blip2 embed (--image IMAGE | --text TEXT) --model DIR`: the vectors by which a picture or a text is found.
import { AppError } from "@blip2-edge/shared/problem";
import { loadModel, loadRetrievalModel, type Model } from "../runtime/load-model.ts";
import type { ProviderName } from "../runtime/providers.ts";
import type { FloatTensor } from "../tensor/tensor.ts";
import { eachImage } from "./each-image.ts";
import type { CliIo } from "./io.ts";
import { parseFlags, usageError } from "./parse-flags.ts";
import { parseProvider, providerFlag, providerUsage } from "./provider-flag.ts";

export const embedUsage = `blip2 embed (--image IMAGE | --text TEXT) --model DIR [--features projected|query] ${providerUsage} [--json]`;
export const embedHelp = `  projected  vectors of length 1 to compare by cosine: of an image [queries][dim], of a text [dim]
  query      the Q-Former's raw output: of an image [queries][hidden], of a text [tokens][hidden]`;

const kinds = ["projected", "query"] as const;
type FeatureKind = (typeof kinds)[number];
const isKind = (given: string): given is FeatureKind =>
  (kinds as readonly string[]).includes(given);

/** Exit status: 0 when the embedding was printed. Errors: AppError, for the entry to print. */
export async function embed(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseFlags(
    args,
    {
      image: { type: "string" },
      text: { type: "string" },
      model: { type: "string" },
      features: { type: "string", default: "projected" },
      json: { type: "boolean", default: false },
      ...providerFlag,
    },
    embedUsage,
  );
  const { image, text, model: modelDir, features, json } = values;
  const given = [image, text].filter((one) => one !== undefined);
  if (positionals.length > 0 || given.length !== 1 || modelDir === undefined) {
    throw usageError("Give either --image or --text, and --model", embedUsage);
  }
  if (!isKind(features)) {
    throw usageError(`--features is projected or query, not "${features}"`, embedUsage);
  }
  const provider = parseProvider(values.provider, embedUsage);
  const print = (model: Model, about: object, embedding: FloatTensor) => {
    if (json) {
      const { name, model_revision } = model.manifest;
      const line = { ...about, features, embedding: nested(embedding) };
      io.stdout(JSON.stringify({ ...line, model: name, model_revision }));
    } else {
      for (const row of rowsOf(embedding)) io.stdout(row.join(" "));
    }
  };
  if (text !== undefined) return embedText(text, features, { modelDir, provider, print }, io);
  return eachImage(
    {
      images: [image ?? ""],
      modelDir,
      // The Q-Former's output is there in every family; only retrieval has a space to compare in.
      load: features === "query" ? loadModel : loadRetrievalModel,
      provider,
      json,
      async work(model, path, { imageId, pixels }) {
        const { queryOutput, projected } = await model.lookAt(pixels);
        const made = features === "query" ? queryOutput : projected;
        print(model, { image: path, image_id: imageId }, withoutBatch(made));
      },
    },
    io,
  );
}

async function embedText(
  text: string,
  features: FeatureKind,
  to: {
    readonly modelDir: string;
    readonly provider: ProviderName;
    readonly print: (model: Model, about: object, embedding: FloatTensor) => void;
  },
  io: CliIo,
): Promise<number> {
  if (text.trim() === "") throw usageError("--text is empty", embedUsage);
  io.stderr(`loading ${to.modelDir}`);
  const model = await loadRetrievalModel(to.modelDir, {
    provider: to.provider,
    signal: io.signal,
  });
  try {
    const [made] = await model.embedTexts([text], io);
    if (made === undefined) throw new AppError("internal", "The text has no embedding.");
    to.print(model, { text }, features === "query" ? made.textOutput : made.projected);
    return 0;
  } finally {
    await model.close();
  }
}

const withoutBatch = ({ dims, data }: FloatTensor): FloatTensor => ({
  type: "float32",
  dims: dims.slice(1),
  data,
});

/** As few digits as give the same float32 again. */
const shortest = (value: number): number => Number(value.toPrecision(9));

/** One row of numbers per vector. */
function rowsOf({ dims, data }: FloatTensor): number[][] {
  const width = dims.at(-1) ?? 0;
  return Array.from({ length: data.length / width }, (_, row) =>
    Array.from(data.subarray(row * width, (row + 1) * width), shortest),
  );
}

/** [dim], or [rows][dim]. */
const nested = (tensor: FloatTensor): number[] | number[][] => {
  const rows = rowsOf(tensor);
  return tensor.dims.length === 1 ? (rows[0] ?? []) : rows;
};
