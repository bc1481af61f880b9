import { describe, expect, test } from "vitest";
import { AppError } from "../problem.ts";
import { askedOf, createJobRequestSchema } from "./jobs.ts";
import { parseOrRefuse } from "./refuse.ts";

const image = { url: "https://example.com/a.png" };
const parse = (request: unknown) => parseOrRefuse(createJobRequestSchema, request);
function faultsOf(request: unknown): Record<string, string> {
  try {
    parse(request);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return Object.fromEntries((error.errors ?? []).map(({ field, message }) => [field, message]));
  }
  return {};
}

describe("what is asked about an item", () => {
  test.each([
    [{}, { task: "caption" }, "caption", {}],
    [{}, { task: "match", parameters: { texts: ["a"] } }, "match", { texts: ["a"] }],
    [
      { parameters: { texts: ["b"] } },
      { task: "match", parameters: { texts: ["a"] } },
      "match",
      { texts: ["b"] },
    ],
    // A task of its own has nothing of the job's.
    [{ task: "caption" }, { task: "match", parameters: { texts: ["a"] } }, "caption", {}],
    [{}, {}, undefined, {}],
  ] as const)("%j in a job of %j", (item, job, task, parameters) => {
    expect(askedOf(item, job)).toEqual({ task, parameters });
  });
});

test("a job of every task is taken as it is", () => {
  const job = {
    task: "classify",
    parameters: { labels: ["owl", "cat"] },
    items: [
      { id: "1", image },
      { image, parameters: { labels: ["dog"] } },
      { image, task: "caption", parameters: { max_new_tokens: 5 } },
      { image, task: "vqa", parameters: { question: "what?" } },
      { image, task: "match", parameters: { texts: ["a"] } },
      { image, task: "embed" },
      { image, task: "index", parameters: { namespace: "n", id: "a", title: "t" } },
    ],
  };
  expect(parse(job)).toEqual(job);
});

test("an item's parameters are held to its task's contract, and named with the item", () => {
  const items = [
    { image },
    { image, task: "classify" },
    { image, task: "caption", parameters: { max_new_tokns: 5 } },
    { image, task: "match", parameters: { texts: [""] } },
    { image, task: "caption", parameters: { stream: true } },
  ];
  expect(faultsOf({ task: "caption", items })).toEqual({
    "items[1].parameters.labels": "is missing",
    "items[2].parameters.max_new_tokns": expect.stringContaining("is an unknown field"),
    "items[3].parameters.texts[0]": "is empty",
    "items[4].parameters.stream": "is for requests that somebody waits for",
  });
});

test("what all items share is found fault with once", () => {
  const items = [{ image }, { image }, { image }];
  expect(faultsOf({ task: "vqa", parameters: { question: 1 }, items })).toEqual({
    "parameters.question": "must be a text",
  });
});

test.each([
  [{ items: [] }, "items", /at least 1 entries/],
  [
    { items: Array.from({ length: 10_001 }, () => ({ image, task: "caption" })) },
    "items",
    /at most 10,000/,
  ],
  [{ items: [{ image }] }, "items[0].task", /is missing/],
  [{ items: [{ task: "caption" }] }, "items[0].image", /is missing/],
  [{ items: [{ image, task: "draw" }] }, "items[0].task", /must be caption or vqa/],
  [
    {
      items: [
        { id: "a", image, task: "caption" },
        { id: "a", image, task: "embed" },
      ],
    },
    "items[1].id",
    /id of an earlier item/,
  ],
  [{ task: "caption", items: [{ image }], expires_in_s: 1 }, "expires_in_s", /at least 60/],
  [
    { task: "caption", items: [{ image }], webhook: { url: "https://a.b/", secret: "hush" } },
    "webhook.secret",
    /whsec_/,
  ],
  [
    // 23 bytes are one too few.
    {
      task: "caption",
      items: [{ image }],
      webhook: { url: "https://a.b/", secret: `whsec_${Buffer.alloc(23).toString("base64")}` },
    },
    "webhook.secret",
    /24 to 64 bytes/,
  ],
])("refused: case %#", (request, field, message) => {
  expect(faultsOf(request)[field]).toMatch(message);
});

test.each([24, 25, 26, 27, 32, 63, 64])("a secret of %i bytes is taken", (bytes) => {
  const secret = `whsec_${Buffer.alloc(bytes, 7).toString("base64")}`;
  const request = { task: "caption", items: [{ image }], webhook: { url: "https://a.b/", secret } };
  expect(faultsOf(request)).toEqual({});
});
