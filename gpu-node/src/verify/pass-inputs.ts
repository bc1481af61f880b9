// What every graph is fed in a pass over one picture and one prompt: the picture's pixel values, the prompt's
// ids, what the graphs before it gave, and no past. The language model sees several positions at once, or
// nothing would be asked of its attention.
import type { PartName } from "../models/graphs.ts";
import type { Manifest } from "../artifact/manifest.ts";
import { createRandom } from "../generate/random.ts";
import { cacheNames } from "../runtime/decoder-tensors.ts";
import { createPixelValues } from "../tensor/pixel-values.ts";
import {
  type FloatTensor,
  floatTensor,
  idTensor,
  idVector,
  type InnerTensor,
  type Tensor,
} from "../tensor/tensor.ts";

export interface Pass {
  /** u8 [S, S, 3] */
  readonly rgb: Uint8Array;
  readonly promptIds: readonly number[];
}

/** T5's decoder takes one token at a time: without a past its attention would have nothing to choose from. */
const pastTokens = 8;

/** Keys and values that no text gave, the same every time. */
function madeUpPast(names: readonly string[], heads: number, headDim: number) {
  const random = createRandom(1, 0);
  const noise = (): FloatTensor =>
    floatTensor(
      Float32Array.from({ length: heads * pastTokens * headDim }, () => 4 * random() - 2),
      [1, heads, pastTokens, headDim],
    );
  return Object.fromEntries(names.map((name) => [name, noise()]));
}

const ones = (count: number): number[] => Array.from({ length: count }, () => 1);

/** One row of text, nothing padded. */
const textInputs = (ids: readonly number[]) => ({
  input_ids: idTensor([ids]),
  attention_mask: idTensor([ones(ids.length)]),
});

/** `outputOf` gives what an earlier graph of the pass made. */
export function passInputs(
  manifest: Manifest,
  part: PartName,
  { rgb, promptIds }: Pass,
  outputOf: (part: PartName, name: string) => InnerTensor,
): Readonly<Record<string, Tensor>> {
  const features = (from: PartName, name: string): FloatTensor => {
    const tensor = outputOf(from, name);
    if (tensor.type !== "float32") throw new Error(`${from}'s output ${name} is ${tensor.type}`);
    return tensor;
  };
  switch (part) {
    case "vision":
      return { pixel_values: createPixelValues(manifest.image)(rgb) };
    case "qformer":
      return { image_embeds: features("vision", "image_embeds") };
    case "text":
      return textInputs(promptIds);
    case "itm":
      return { image_embeds: features("vision", "image_embeds"), ...textInputs(promptIds) };
    case "encoder":
      return {
        input_ids: idTensor([promptIds]),
        prefix_embeds: features("qformer", "projected"),
        attention_mask: idTensor([ones(manifest.qformer.queries + promptIds.length)]),
      };
    case "decoder":
      return decoderInputs(manifest, promptIds, features);
  }
}

function decoderInputs(
  manifest: Manifest,
  promptIds: readonly number[],
  features: (from: PartName, name: string) => FloatTensor,
): Readonly<Record<string, Tensor>> {
  if (manifest.family === "retrieval") throw new Error("a retrieval model has no decoder");
  const { heads, head_dim: headDim, layers } = manifest.decoder;
  const empty = floatTensor(new Float32Array(0), [1, heads, 0, headDim]);
  const noPast = (names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, empty]));
  const source = ones(manifest.qformer.queries + promptIds.length);
  /** One step, everything allowed. */
  const oneStep = { past_lengths: idVector([0]), steps: idVector(1), held_back: idVector([0]) };
  switch (manifest.family) {
    case "opt":
      return {
        ...noPast(cacheNames(layers)),
        ...oneStep,
        input_ids: idTensor([promptIds]),
        prefix_embeds: features("qformer", "projected"),
        position_ids: idTensor([source.map((_, at) => at)]),
        last: idVector([source.length - 1]),
      };
    case "t5": {
      const cross = cacheNames(layers, "encoder");
      return {
        ...madeUpPast(cacheNames(layers, "decoder"), heads, headDim),
        ...Object.fromEntries(cross.map((name) => [name, features("encoder", name)])),
        ...oneStep,
        past_lengths: idVector([pastTokens]),
        input_ids: idTensor([[manifest.tokens.start]]),
        encoder_attention_mask: idTensor([source]),
      };
    }
  }
}
