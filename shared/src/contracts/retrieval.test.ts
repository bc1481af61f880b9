import { expect, test } from "vitest";
import { classifyRequestSchema, classifyResponseSchema } from "./classify.ts";
import { embedRequestSchema, embedResponseSchema } from "./embed.ts";
import { matchRequestSchema, matchResponseSchema } from "./match.ts";

const image = { image_id: `img_${"0".repeat(64)}` };
const about = { ...image, model: "itm", model_revision: "0".repeat(16) };

test("whole requests, with their picture", () => {
  for (const [schema, request] of [
    [matchRequestSchema, { image, texts: ["a"], scores: ["itc", "itm"], model: "itm@int8" }],
    [classifyRequestSchema, { image, labels: ["a", "A"], template: "a photo of {}" }],
    [embedRequestSchema, { image, features: "query" }],
    [embedRequestSchema, { text: "a", features: "projected", model: "itm" }],
  ] as const) {
    expect(schema.parse(request)).toEqual(request);
    expect(schema.safeParse({ ...request, confidence: 1 }).success).toBe(false);
  }
});

test("a picture or a text is embedded, not both and not neither", () => {
  expect(embedRequestSchema.safeParse({ image, text: "a" }).success).toBe(false);
  expect(embedRequestSchema.safeParse({ features: "query" }).success).toBe(false);
});

test("answers may say more than this reader knows", () => {
  for (const [schema, answer] of [
    [matchResponseSchema, { matches: [{ text: "a", itm: 0.9 }], ...about }],
    [classifyResponseSchema, { labels: [{ label: "a", score: 1, itc: -0.5 }], ...about }],
    [embedResponseSchema, { embedding: [[0.5], [1]], dim: 1, ...about }],
    [embedResponseSchema, { embedding: [0.5, 1], dim: 2, model: "itm", model_revision: "0" }],
  ] as const) {
    expect(schema.parse({ ...answer, more: 1 })).toEqual(answer);
  }
});
