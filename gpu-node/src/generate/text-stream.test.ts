import { readFile } from "node:fs/promises";
import path from "node:path";
import { array, assert, constantFrom, integer, oneof, property } from "fast-check";
import { describe, expect, test } from "vitest";
import golden from "../../../test/golden/tokenizers/golden.json" with { type: "json" };
import { root } from "../../../test/support/stack.ts";
import { createTokenizer, type Tokenizer } from "../tokenizers/tokenizer.ts";
import { createTextStream } from "./text-stream.ts";

const json = async (...parts: string[]): Promise<unknown> =>
  JSON.parse(await readFile(path.join(root, ...parts), "utf8"));

interface Pieces {
  readonly tokenizer: Tokenizer;
  readonly vocab: number;
}
/** `cleaning`: as configured with clean_up_tokenization_spaces. */
async function open(folder: string, cleaning?: boolean): Promise<Pieces> {
  const tokenizer = await json(folder, "tokenizer.json");
  const config = (await json(folder, "tokenizer_config.json")) as object;
  const { vocab } = (tokenizer as { model: { vocab: object } }).model;
  const asked = cleaning === undefined ? {} : { clean_up_tokenization_spaces: cleaning };
  return {
    tokenizer: createTokenizer({ tokenizer, config: { ...config, ...asked } }, null),
    vocab: Object.keys(vocab).length,
  };
}

/** Checks the deltas of one sequence that is told `sizes` ids at a time. */
function tell(tokenizer: Tokenizer, ids: readonly number[], sizes: readonly number[]): void {
  const stream = createTextStream(tokenizer);
  const whole = tokenizer.decode(ids);
  let told = "";
  let count = 0;
  for (const size of sizes) {
    count += size;
    told += stream.push(ids.slice(0, count));
    // Also says that a character which is not whole was never told: the whole text has no other at its place.
    expect(whole.startsWith(told)).toBe(true);
  }
  expect(told + stream.end(whole)).toBe(whole);
}

const runs = array(integer({ min: 1, max: 4 }), { maxLength: 30 });
const folders = Object.keys(golden.tokenizers);

describe.each(folders.flatMap((folder) => [[folder, false] as const, [folder, true] as const]))(
  "%s, cleaning up: %s",
  (folder, cleaning) => {
    test("random ids: the parts are the whole, and nothing is taken back", async () => {
      const { tokenizer, vocab } = await open(folder, cleaning);
      const id = integer({ min: 0, max: vocab - 1 });
      assert(
        property(array(id, { minLength: 1, maxLength: 40 }), runs, (ids, sizes) =>
          tell(tokenizer, ids, sizes),
        ),
        { numRuns: 300 },
      );
    });

    test("ids of bits of contractions, punctuation and characters of several bytes", async () => {
      const { tokenizer } = await open(folder, cleaning);
      const bits = [" n", "'", " '", "t", " t", " .", ".", "?", " ,", "s", " 've", " do", " a dog"];
      const many = ["é", "日本", "🦉", "👩‍👩‍👧", "\u3000", "\uFFFD", " \u00a0", "ab"];
      const ofText = [...bits, ...many].flatMap((text) => tokenizer.encode(text));
      const id = oneof(constantFrom(...ofText), constantFrom(...tokenizer.encode(" n't 's.")));
      assert(
        property(array(id, { minLength: 1, maxLength: 24 }), runs, (ids, sizes) =>
          tell(tokenizer, ids, sizes),
        ),
        { numRuns: 500 },
      );
    });
  },
);

test("a text without clean-up is told to its last character", async () => {
  const { tokenizer } = await open(folders[0] ?? "", false);
  const ids = tokenizer.encode("two owls").slice(1);
  const stream = createTextStream(tokenizer);
  const told = ids.map((_, at) => stream.push(ids.slice(0, at + 1)));
  expect(told.join("")).toBe("two owls");
  expect(stream.end("two owls")).toBe("");
});

test("a character of several tokens comes whole, when its last byte is there", async () => {
  const { tokenizer } = await open(folders[0] ?? "", false);
  const ids = tokenizer.encode("🦉").slice(1);
  expect(ids.length).toBeGreaterThan(1);
  const stream = createTextStream(tokenizer);
  const told = ids.map((_, at) => stream.push(ids.slice(0, at + 1)));
  expect(told).toEqual([...ids.slice(1).map(() => ""), "🦉"]);
});

test("a sequence that begins within a character tells nothing yet", async () => {
  const { tokenizer } = await open(folders[0] ?? "", false);
  const [, first = 0] = tokenizer.encode("🦉");
  expect(createTextStream(tokenizer).push([first])).toBe("");
});
