// What the manifest says of the model itself: family, graphs, sizes, token ids. From the configuration alone.
import type { ModelDescription } from "../artifact/manifest.ts";
import type { Blip2Config } from "../checkpoint/config.ts";

const graph = (name: string) => ({ file: `${name}.onnx` });

export function describeModel(config: Blip2Config): ModelDescription {
  const { vision, qformer, image } = config;
  const common = {
    image: {
      size: image.size,
      rescale_factor: image.rescaleFactor,
      mean: [...image.mean] as [number, number, number],
      std: [...image.std] as [number, number, number],
    },
    vision: { tokens: vision.tokens, hidden: vision.hidden },
    qformer: { queries: qformer.queries, hidden: qformer.hidden },
  };
  const graphs = {
    vision: graph("vision"),
    qformer: graph("qformer"),
    decoder: graph("decoder"),
  };
  const { heads, headDim: head_dim, hidden, vocab, context } = config.text;
  const sizes = { heads, head_dim, hidden, vocab, context };
  switch (config.family) {
    case "opt":
      return {
        ...common,
        family: "opt",
        graphs,
        decoder: { layers: config.text.layers, ...sizes },
        tokens: { ...config.tokens, eos: [...config.tokens.eos] },
      };
    case "t5":
      return {
        ...common,
        family: "t5",
        graphs: { ...graphs, encoder: graph("encoder") },
        decoder: { layers: config.text.decoderLayers, ...sizes },
        tokens: { ...config.tokens, eos: [...config.tokens.eos] },
      };
  }
}
