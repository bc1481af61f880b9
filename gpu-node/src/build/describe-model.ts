// What the manifest says of the model itself: family, graphs, sizes, token ids. From the configuration alone.
import { defaultQuestionTemplate } from "@blip2-edge/shared/contracts/question-template";
import type { ModelDescription } from "../artifact/manifest.ts";
import type { Blip2Config, GenerationConfig } from "../checkpoint/config.ts";

const graph = (name: string) => ({ file: `${name}.onnx` });

/** What the families with a language model have in common. */
const describeLanguage = ({ text }: GenerationConfig) => ({
  graphs: { decoder: graph("decoder") },
  decoder: {
    heads: text.heads,
    head_dim: text.headDim,
    hidden: text.hidden,
    vocab: text.vocab,
    context: text.context,
  },
  question_template: defaultQuestionTemplate,
});

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
  const graphs = { vision: graph("vision"), qformer: graph("qformer") };
  switch (config.family) {
    case "opt": {
      const language = describeLanguage(config);
      return {
        ...common,
        ...language,
        family: "opt",
        graphs: { ...graphs, ...language.graphs },
        decoder: { layers: config.text.layers, ...language.decoder },
        tokens: { ...config.tokens, eos: [...config.tokens.eos] },
      };
    }
    case "t5": {
      const language = describeLanguage(config);
      return {
        ...common,
        ...language,
        family: "t5",
        graphs: { ...graphs, ...language.graphs, encoder: graph("encoder") },
        decoder: { layers: config.text.decoderLayers, ...language.decoder },
        tokens: { ...config.tokens, eos: [...config.tokens.eos] },
      };
    }
    case "retrieval":
      return {
        ...common,
        family: "retrieval",
        graphs: { ...graphs, text: graph("text"), itm: graph("itm") },
        text: { ...config.text },
        tokens: { ...config.tokens },
      };
  }
}
