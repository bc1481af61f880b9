import { expect, test } from "vitest";
import { createTokenizer } from "./tokenizer.ts";

// A byte-level BPE of seven entries in the layout of tokenizer.json, `</s>` prepended as OPT does.
const added = (id: number, content: string) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});
const byteLevel = {
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: true,
};
const files = {
  tokenizer: {
    version: "1.0",
    added_tokens: [added(0, "</s>"), added(6, "<image>")],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "</s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [],
      special_tokens: { "</s>": { id: "</s>", ids: [0], tokens: ["</s>"] } },
    },
    decoder: byteLevel,
    model: {
      type: "BPE",
      vocab: { "</s>": 0, a: 1, b: 2, ab: 3, Ġ: 4, Ċ: 5, "<image>": 6 },
      merges: [["a", "b"]],
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
    },
  },
  config: { tokenizer_class: "GPT2Tokenizer", bos_token: "</s>", eos_token: "</s>" },
};

test("encodes with the leading special of the family", () => {
  const tokenizer = createTokenizer(files, 6);
  expect(tokenizer.encode("ab ba")).toEqual([0, 3, 4, 2, 1]);
  expect(tokenizer.encode("")).toEqual([0]);
});

test("decodes without specials, stripped of the end token's line break", () => {
  const tokenizer = createTokenizer(files, 6);
  expect(tokenizer.decode([0, 4, 3, 4, 1, 5])).toBe("ab a");
});

test("a text that spells the image placeholder is refused", () => {
  const tokenizer = createTokenizer(files, 6);
  expect(() => tokenizer.encode("a<image>b")).toThrow(/placeholder/);
});

test("what is no tokenizer is an invalid artifact", () => {
  expect(() => createTokenizer({ tokenizer: 7, config: {} }, 6)).toThrow(/tokenizer files/);
  expect(() => createTokenizer({ tokenizer: { model: {} }, config: {} }, 6)).toThrow(
    /tokenizer files/,
  );
});
