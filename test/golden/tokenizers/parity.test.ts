// Every tokenizer of the golden checkpoints against transformers' own, over ordinary and hostile strings; `make.py`
// made the golden. And what needs no reference: a byte-level tokenizer loses nothing.
import { readFile } from "node:fs/promises";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createTokenizer } from "../../../gpu-node/src/tokenizers/tokenizer.ts";
import { root } from "../../support/stack.ts";
import golden from "./golden.json" with { type: "json" };

/** Of no tokenizer: nothing is refused as a placeholder. */
const noImageToken = null;

const json = async (...parts: string[]): Promise<unknown> =>
  JSON.parse(await readFile(path.join(root, ...parts), "utf8"));
const openTokenizer = async (folder: string) =>
  createTokenizer(
    {
      tokenizer: await json(folder, "tokenizer.json"),
      config: await json(folder, "tokenizer_config.json"),
    },
    noImageToken,
  );

describe.each(Object.entries(golden.tokenizers))("%s", (folder, { cases }) => {
  test("gives the reference's ids and text", async () => {
    const tokenizer = await openTokenizer(folder);
    const made = golden.texts.map((text) => {
      const ids = tokenizer.encode(text);
      return { text, ids, decoded: tokenizer.decode(ids) };
    });
    const expected = golden.texts.map((text, at) => ({
      text,
      ids: cases[at]?.[0],
      decoded: cases[at]?.[1],
    }));
    expect(made).toEqual(expected);
  });
});

test("a byte-level tokenizer gives every text back", async () => {
  const tokenizer = await openTokenizer("gpu-node/nano/checkpoint");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), (text) => {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.trim());
    }),
  );
});
