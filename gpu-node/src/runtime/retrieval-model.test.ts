// A retrieval model opened beside others, and what it refuses. Its numbers are compared in test/golden/retrieval.
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildTinyPair, pairSize } from "../../../test/support/tiny-pair.ts";
import { loadModels, loadRetrievalModel } from "./load-model.ts";
import type { RetrievalModel } from "./retrieval-model.ts";
import type { Seen } from "./sight.ts";

let root: string;
let pair: { writer: string; comparer: string };
let model: RetrievalModel;
let seen: Seen;
const pixels = Uint8Array.from({ length: pairSize ** 2 * 3 }, (_, at) => (at * 53) % 256);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "retrieval-"));
  pair = await buildTinyPair(root);
  model = await loadRetrievalModel(pair.comparer, { threads: 1 });
  seen = await model.lookAt(pixels);
});
afterAll(async () => {
  await model.close();
  await rm(root, { recursive: true });
});

describe("models with the same vision tower", () => {
  test("have one session of it, which ends with the last of them", async () => {
    const models = await loadModels([pair.writer, pair.comparer], { threads: 1 });
    const [writer, comparer] = models;
    expect(writer?.vision).toBe(comparer?.vision);
    expect(writer?.visionKey).toBe(comparer?.visionKey);
    await writer?.close();
    await writer?.close(); // once more changes nothing
    const still = await comparer?.lookAt(pixels);
    expect(still?.imageEmbeds.data).toEqual(seen.imageEmbeds.data);
    await comparer?.close();
    await expect(comparer?.lookAt(pixels)).rejects.toThrow();
  });

  test("one that cannot be opened closes the others", async () => {
    await expect(loadModels([pair.comparer, "/nowhere"])).rejects.toMatchObject({
      code: "artifact_invalid",
    });
  });
});

describe("match", () => {
  test("only the scores that were asked for, from only what they need", async () => {
    const { imageEmbeds, projected } = seen;
    expect(await model.match({ projected }, ["a cat"], ["itc"])).toEqual([
      { itc: expect.any(Number) as number },
    ]);
    expect(await model.match({ imageEmbeds }, ["a cat"], ["itm"])).toEqual([
      { itm: expect.any(Number) as number },
    ]);
  });

  test("many texts, more than a batch holds, keep their order", async () => {
    const words = ["a", "cat", "dog", "on", "the", "mat"];
    const texts = Array.from({ length: 41 }, (_, at) =>
      Array.from({ length: 1 + (at % 5) }, (__, word) => words[(at * 7 + word) % 6]).join(" "),
    );
    const together = await model.match(seen, texts, ["itm", "itc"]);
    for (const [at, text] of texts.entries()) {
      const [alone] = await model.match(seen, [text], ["itm", "itc"]);
      expect(together[at]?.itm, text).toBeCloseTo(alone?.itm ?? NaN, 5);
      expect(together[at]?.itc, text).toBeCloseTo(alone?.itc ?? NaN, 5);
    }
  });

  test("who leaves is heard", async () => {
    const signal = AbortSignal.abort(new Error("gone"));
    await expect(model.match(seen, ["a"], ["itm"], { signal })).rejects.toThrow("gone");
    await expect(model.embedTexts(["a"], { signal })).rejects.toThrow("gone");
  });
});

describe("a text", () => {
  test("may fill every position, queries not counted, and not one more", async () => {
    expect(model.textIds("a cat on the mat a")).toHaveLength(8);
    await model.match(seen, ["a cat on the mat a"], ["itm", "itc"]);
    expect(() => model.textIds("a cat on the mat a cat")).toThrow(/takes 9 tokens.* at most 8/);
    await expect(model.embedTexts(["a", "cat ".repeat(9)])).rejects.toMatchObject({
      code: "prompt_too_long",
    });
  });

  test("that has no tokens, or one that the model does not know, is refused", async () => {
    const folder = join(root, "bare");
    await cp(pair.comparer, folder, { recursive: true });
    const file = join(folder, "tokenizer.json");
    const tokenizer = JSON.parse(await readFile(file, "utf8")) as {
      post_processor: unknown;
      added_tokens: { id: number; content: string }[];
    };
    // As long as the file was, since the manifest knows its size.
    const { length } = JSON.stringify(tokenizer);
    tokenizer.post_processor = null;
    tokenizer.added_tokens = tokenizer.added_tokens.map((token) =>
      token.content === "<image>" ? { ...token, id: 77 } : token,
    );
    await writeFile(file, JSON.stringify(tokenizer).padEnd(length));
    const bare = await loadRetrievalModel(folder, { threads: 1 });
    expect(bare.textIds("a cat")).toEqual([4, 5]);
    expect(() => bare.textIds(" ")).toThrow(/text is empty/);
    expect(() => bare.textIds("a <image>")).toThrow(/special token .* does not know/);
    await bare.close();
  });
});

test("pixels of another size than the model's are refused", () => {
  expect(() => model.pixelValues(new Uint8Array(12))).toThrow(/12 bytes; .*16 x 16 x 3/);
});
