// Two of the smallest models that run, one that writes and one that compares, with the same vision tower: what
// nano and its retrieval sibling are to each other.
import { join } from "node:path";
import { buildArtifact } from "../../gpu-node/src/build/build-artifact.ts";
import { tinyConfig, tinyRetrievalConfig, writeTinyCheckpoint } from "./tiny-checkpoint.ts";

/** Side of their input in pixels: the smallest that edge and node speak of. */
export const pairSize = 16;

const vocab = Object.fromEntries(
  ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "dog", "on", "the", "mat", "##s", "<image>"].map(
    (word, at) => [word, at],
  ),
);
const special = (content: string, id: number) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});
/** WordPiece as BERT's. */
const tokenizer = {
  version: "1.0",
  added_tokens: [special("[CLS]", 2), special("[SEP]", 3), special("<image>", 11)],
  normalizer: {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: {
    type: "TemplateProcessing",
    single: [
      { SpecialToken: { id: "[CLS]", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      { SpecialToken: { id: "[SEP]", type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      "[CLS]": { id: "[CLS]", ids: [2], tokens: ["[CLS]"] },
      "[SEP]": { id: "[SEP]", ids: [3], tokens: ["[SEP]"] },
    },
  },
  decoder: { type: "WordPiece", prefix: "##", cleanup: true },
  model: {
    type: "WordPiece",
    vocab,
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
  },
};

const large = <C extends { readonly vision_config: object }>(config: C) => ({
  ...config,
  vision_config: { ...config.vision_config, image_size: pairSize },
});
const pair = { writer: large(tinyConfig), comparer: large(tinyRetrievalConfig) };

/** Folders of the two artifacts, called `writer` and `comparer`, built in `root`. */
export async function buildTinyPair(root: string): Promise<Record<keyof typeof pair, string>> {
  const build = async (name: keyof typeof pair): Promise<string> => {
    const checkpoint = join(root, `${name}-checkpoint`);
    await writeTinyCheckpoint(checkpoint, { config: pair[name], tokenizer });
    const out = join(root, name);
    const { signal } = new AbortController();
    await buildArtifact({ checkpoint, out, signal, log: () => {} });
    return out;
  };
  return { writer: await build("writer"), comparer: await build("comparer") };
}
