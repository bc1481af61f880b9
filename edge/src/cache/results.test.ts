import { writeEmbedding } from "@blip2-edge/shared/wire/embedding";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "./canonical-json.ts";
import { memoryTiers, nothingPurged } from "../../../test/support/memory-tiers.ts";
import { cacheStatus, entityTag, matchesEntityTag, mayBeKept } from "./answer-headers.ts";
import {
  generationKey,
  imageEmbeddingKey,
  scoreKey,
  textEmbeddingKey,
  type ResultKey,
  type StoredGeneration,
} from "./keys.ts";
import { resultCache } from "./results.ts";

const imageId = `img_${"a".repeat(64)}`;
const modelRevision = "0".repeat(16);
const parts = {
  imageId,
  modelRevision,
  text: null,
  generation: { max_new_tokens: 20, min_new_tokens: 0 },
};
const key = generationKey(parts);
const result: StoredGeneration = {
  text: "a dog",
  finish_reason: "stop",
  log_prob: -0.5,
  usage: { image_tokens: 1, prompt_tokens: 2, completion_tokens: 3 },
};

function world({ maxBytes = 0 } = {}) {
  const { tiers, ...rest } = memoryTiers({ maxBytes });
  return { ...rest, cache: resultCache({ tiers, purges: nothingPurged, at: 7 }) };
}

describe("resultCache", () => {
  test("a result is found in the partition it was written to, and in no other", async () => {
    const { cache } = world();
    await cache.store(["t:ada"], key, result);
    expect(await cache.find(["t:ada"], key)).toEqual({ value: result, at: 7, partition: "t:ada" });
    expect(await cache.find(["t:bob", "public"], key)).toBeUndefined();
    expect(await cache.find(["t:bob", "t:ada"], key)).toMatchObject({ partition: "t:ada" });
  });

  test("every part of the key counts; the order of parameters does not", async () => {
    const { cache } = world();
    await cache.store(["public"], key, result);
    const others = [
      { ...parts, imageId: `img_${"b".repeat(64)}` },
      { ...parts, modelRevision: "1".repeat(16) },
      { ...parts, text: "" },
      { ...parts, text: "null" },
      { ...parts, generation: { ...parts.generation, min_new_tokens: 1 } },
    ];
    for (const other of others) {
      expect(await cache.find(["public"], generationKey(other))).toBeUndefined();
    }
    const reordered = { ...parts, generation: { min_new_tokens: 0, max_new_tokens: 20 } };
    expect(await cache.find(["public"], generationKey(reordered))).toBeDefined();
  });

  test("the kinds lie apart, each score and each kind of features by itself", async () => {
    const { cache } = world();
    const text = "a dog";
    const scores = (["itm", "itc"] as const).map((score) =>
      scoreKey({ imageId, modelRevision, text, score }),
    );
    const embeddings = (["projected", "query"] as const).flatMap((features) => [
      imageEmbeddingKey({ imageId, modelRevision, features }),
      textEmbeddingKey(modelRevision, text, features),
    ]);
    for (const [index, one] of scores.entries()) {
      expect(await cache.find(["t:ada"], one)).toBeUndefined();
      await cache.store(["t:ada"], one, index);
    }
    for (const [index, one] of embeddings.entries()) {
      expect(await cache.find(["t:ada"], one)).toBeUndefined();
      await cache.store(["t:ada"], one, writeEmbedding([1], [index + 0.1]));
    }
    for (const [index, one] of scores.entries()) {
      expect((await cache.find(["t:ada"], one))?.value).toBe(index);
    }
    for (const [index, one] of embeddings.entries()) {
      const found = await cache.find(["t:ada"], one);
      expect(found?.value).toEqual(writeEmbedding([1], [index + 0.1]));
    }
    expect(await cache.find(["t:ada"], key)).toBeUndefined();
  });

  test("what is stored under a key and is not of its kind is a miss", async () => {
    const { cache, front, back, settle } = world();
    const score = scoreKey({ imageId, modelRevision, text: "a", score: "itm" });
    const embedding = imageEmbeddingKey({ imageId, modelRevision, features: "projected" });
    const tamper = async <Value>(one: ResultKey<Value>, value: Value, text: string) => {
      await cache.store(["t:ada"], one, value);
      await settle();
      for (const tier of [front, back]) for (const path of tier.keys()) tier.set(path, text);
      expect(await cache.find(["t:ada"], one)).toBeUndefined();
    };
    await tamper(score, 0.5, "null");
    await tamper(score, 0.5, '"0.5"');
    const whole = writeEmbedding([2], [1, 2]);
    await tamper(embedding, whole, JSON.stringify({ ...whole, dims: [3] }));
    await tamper(embedding, whole, "0.5");
  });

  test("what only the back tier holds is a hit, and moves to the front", async () => {
    const { cache, front, settle } = world();
    await cache.store(["t:ada"], key, result);
    await settle();
    front.clear();
    expect(await cache.find(["t:ada"], key)).toMatchObject({ value: result });
    await settle();
    expect(front.size).toBe(1);
  });

  test("a tier that fails is a miss and is told; the other one serves", async () => {
    const { cache, faults, settle, breakTiers, back } = world();
    await cache.store(["t:ada"], key, result);
    await settle();
    breakTiers("front");
    expect(await cache.find(["t:ada"], key)).toMatchObject({ value: result });
    breakTiers("front back");
    expect(await cache.find(["t:ada"], key)).toBeUndefined();
    await cache.store(["t:ada"], key, result);
    await settle();
    expect(new Set(faults)).toEqual(new Set(["front", "back"]));
    breakTiers("front");
    for (const path of back.keys()) back.set(path, '{"text":1}');
    expect(await cache.find(["t:ada"], key)).toBeUndefined();
  });
});

test("canonical JSON", () => {
  expect(canonicalJson({ b: [1, { d: null, c: "x" }], a: undefined, A: true })).toBe(
    '{"A":true,"b":[1,{"c":"x","d":null}]}',
  );
});

test("headers", async () => {
  expect(cacheStatus("partial")).toBe("blip2-edge; fwd=partial; stored");
  expect(cacheStatus("bypass")).toBe("blip2-edge; fwd=bypass; detail=unseeded-sample");
  expect(cacheStatus("collapsed")).toBe("blip2-edge; fwd=miss; collapsed");
  expect(cacheStatus("no-store")).toBe("blip2-edge; fwd=bypass; detail=no-store");
  expect((["hit", "collapsed", "bypass", "no-store"] as const).map(mayBeKept)).toEqual([
    ...[true, true, false, false],
  ]);
  const tag = await entityTag("body");
  expect(tag).not.toBe(await entityTag("Body"));
  for (const header of [tag, `W/${tag}`, `"x", ${tag}`, "*"]) {
    expect(matchesEntityTag(header, tag)).toBe(true);
  }
  for (const header of [undefined, "", '"x"', tag.slice(1)]) {
    expect(matchesEntityTag(header, tag)).toBe(false);
  }
});
