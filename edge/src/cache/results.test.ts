import { describe, expect, test } from "vitest";
import { canonicalJson } from "./canonical-json.ts";
import { cacheStatus, entityTag, matchesEntityTag } from "./answer-headers.ts";
import { resultCache, type ResultKey, type StoredResult } from "./results.ts";

const key: ResultKey = {
  imageId: `img_${"a".repeat(64)}`,
  modelRevision: "0".repeat(16),
  text: null,
  generation: { max_new_tokens: 20, min_new_tokens: 0 },
};
const result: StoredResult = {
  text: "a dog",
  finish_reason: "stop",
  log_prob: -0.5,
  usage: { image_tokens: 1, prompt_tokens: 2, completion_tokens: 3 },
};

function tiers() {
  const front = new Map<string, string>();
  const back = new Map<string, string>();
  const faults: string[] = [];
  const work: Promise<unknown>[] = [];
  let broken = "";
  const check = (tier: string) =>
    broken.includes(tier) ? Promise.reject(new Error("down")) : Promise.resolve();
  const cache = resultCache({
    ttlS: 60,
    later: (promise) => void work.push(promise),
    onFault: (tier) => void faults.push(tier),
    front: {
      match: async (url) => {
        await check("front");
        const body = front.get(url);
        return body === undefined ? undefined : new Response(body);
      },
      put: async (url, response) => {
        await check("front");
        front.set(url, await response.text());
      },
    },
    back: {
      get: async (path) => {
        await check("back");
        return back.get(path) ?? null;
      },
      put: async (path, body) => {
        await check("back");
        back.set(path, body);
      },
    },
  });
  return {
    cache,
    front,
    back,
    faults,
    settle: () => Promise.all(work),
    breakTiers: (which: string) => {
      broken = which;
    },
  };
}

describe("resultCache", () => {
  test("a result is found in the partition it was written to, and in no other", async () => {
    const { cache } = tiers();
    await cache.store(["t:ada"], key, result);
    expect(await cache.find(["t:ada"], key)).toEqual({ result, partition: "t:ada" });
    expect(await cache.find(["t:bob", "public"], key)).toBeUndefined();
    expect(await cache.find(["t:bob", "t:ada"], key)).toMatchObject({ partition: "t:ada" });
  });

  test("every part of the key counts; the order of parameters does not", async () => {
    const { cache } = tiers();
    await cache.store(["public"], key, result);
    const others: ResultKey[] = [
      { ...key, imageId: `img_${"b".repeat(64)}` },
      { ...key, modelRevision: "1".repeat(16) },
      { ...key, text: "" },
      { ...key, text: "null" },
      { ...key, generation: { ...key.generation, min_new_tokens: 1 } },
    ];
    for (const other of others) expect(await cache.find(["public"], other)).toBeUndefined();
    const reordered = { ...key, generation: { min_new_tokens: 0, max_new_tokens: 20 } };
    expect(await cache.find(["public"], reordered)).toBeDefined();
  });

  test("what only the back tier holds is a hit, and moves to the front", async () => {
    const { cache, front, settle } = tiers();
    await cache.store(["t:ada"], key, result);
    await settle();
    front.clear();
    expect(await cache.find(["t:ada"], key)).toMatchObject({ result });
    await settle();
    expect(front.size).toBe(1);
  });

  test("a tier that fails is a miss and is told; the other one serves", async () => {
    const { cache, faults, settle, breakTiers, back } = tiers();
    await cache.store(["t:ada"], key, result);
    await settle();
    breakTiers("front");
    expect(await cache.find(["t:ada"], key)).toMatchObject({ result });
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
  const tag = await entityTag("body");
  expect(tag).not.toBe(await entityTag("Body"));
  for (const header of [tag, `W/${tag}`, `"x", ${tag}`, "*"]) {
    expect(matchesEntityTag(header, tag)).toBe(true);
  }
  for (const header of [undefined, "", '"x"', tag.slice(1)]) {
    expect(matchesEntityTag(header, tag)).toBe(false);
  }
});
