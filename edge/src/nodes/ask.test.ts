import { AppError } from "@blip2-edge/shared/problem";
import { writeEmbedding } from "@blip2-edge/shared/wire/embedding";
import { readFrame } from "@blip2-edge/shared/wire/frame";
import {
  inferRequestSchema,
  type EmbedRequest,
  type InferRequest,
} from "@blip2-edge/shared/wire/protocol";
import { describe, expect, test } from "vitest";
import { nodeAsker, type Question } from "./ask.ts";
import { embedCall, inferCall, matchCall } from "./calls.ts";
import { nodeExchange, type Fetch, type NodeRequest } from "./exchange.ts";
import { heldImages } from "./held-images.ts";

const imageId = `img_${"a".repeat(64)}`;
const pixels = new Uint8Array(14 * 14 * 3).fill(7);
const about = {
  model: "m",
  model_revision: "0".repeat(16),
  partition: "0".repeat(32),
  image: { image_id: imageId, size: 14 },
};
const question = {
  request: (deadline_ms: number) => ({ ...about, texts: [null], generation: {}, deadline_ms }),
  pixels,
  loadPixels: () => Promise.resolve(undefined),
  remainingMs: () => 1234.5,
} satisfies Question<InferRequest>;
const answer = {
  model: "m",
  model_revision: "0".repeat(16),
  image_id: imageId,
  results: [
    {
      text: "a",
      token_ids: [1],
      finish_reason: "stop",
      log_prob: -1,
      usage: { image_tokens: 1, prompt_tokens: 1, completion_tokens: 1 },
    },
  ],
  vision_passes: 1,
};
const never = new AbortController().signal;

function asker(steps: ((request: NodeRequest) => unknown)[]) {
  const seen: NodeRequest[] = [];
  const held = heldImages();
  const ask = nodeAsker({
    held,
    retryWaitMs: 0,
    exchange: (request) => {
      seen.push(request);
      const step = steps.shift();
      if (step === undefined) throw new Error("asked too often");
      return Promise.resolve().then(() => step(request));
    },
  });
  const infer = (what: Question<InferRequest> = question) => ask(inferCall, what, never);
  return { ask, infer, seen };
}
const lacksPixels = (): never => {
  throw new AppError("pixels_required", "");
};

test("pixels travel framed, with the time that is left", async () => {
  const { infer, seen } = asker([() => answer]);
  expect(await infer()).toMatchObject({ attempts: 1, sentPixels: true });
  const [request] = seen;
  const frame = readFrame(request?.body ?? new Uint8Array(), request?.contentType ?? "");
  expect(frame.pixels).toEqual(pixels);
  expect(inferRequestSchema.parse(JSON.parse(frame.json)).deadline_ms).toBe(1234);
});

test("a picture believed held goes as JSON; the node's 428 corrects the belief", async () => {
  const { infer, seen } = asker([() => answer, lacksPixels, () => answer]);
  await infer();
  await infer();
  expect(seen.map(({ contentType }) => contentType?.split(";")[0])).toEqual([
    "multipart/related",
    "application/json",
    "multipart/related",
  ]);
});

test("no pixels anywhere: image_pixels_gone", async () => {
  const { infer } = asker([lacksPixels]);
  const gone = infer({ ...question, pixels: undefined });
  await expect(gone).rejects.toMatchObject({ code: "image_pixels_gone" });
});

test("a node that asks for pixels it was sent is not asked for ever", async () => {
  const { infer, seen } = asker([lacksPixels, lacksPixels]);
  await expect(infer()).rejects.toMatchObject({ code: "node_protocol" });
  expect(seen).toHaveLength(1);
});

test("too few results are not an answer", async () => {
  const { infer } = asker([() => ({ ...answer, results: [] })]);
  await expect(infer()).rejects.toMatchObject({ code: "node_protocol" });
});

const textQuestion: Question<EmbedRequest> = {
  request: (deadline_ms) => ({
    ...{ model: "m", model_revision: "0".repeat(16) },
    features: "projected",
    texts: ["a"],
    deadline_ms,
  }),
  remainingMs: () => 1000,
};

test("a request about a text goes to its own path, never with pixels", async () => {
  const told = { model: "m", model_revision: "0".repeat(16), vision_passes: 0 };
  const embeddings = [writeEmbedding([2], [1, 2])];
  const { ask, seen } = asker([() => ({ ...told, embeddings }), lacksPixels]);
  expect(await ask(embedCall, textQuestion, never)).toMatchObject({ sentPixels: false });
  expect(seen).toMatchObject([{ path: "/v1/embed", contentType: "application/json" }]);
  const confused = ask(embedCall, { ...textQuestion, pixels }, never);
  await expect(confused).rejects.toMatchObject({ code: "node_protocol" });
  expect(seen).toHaveLength(2);
});

test("features are believed held for one revision of a model, not for another", async () => {
  const { ask, seen } = asker([() => answer, () => answer]);
  await ask(inferCall, question, never);
  const other = { ...about, model_revision: "f".repeat(16) };
  const request = (deadline_ms: number) => ({ ...question.request(deadline_ms), ...other });
  await ask(inferCall, { ...question, request }, never);
  expect(seen[1]?.contentType).toContain("multipart/related");
});

describe("an answer that is well formed and none to the request", () => {
  const deadline_ms = 1;
  const texts = ["a", "b"];
  const model = { model: "m", model_revision: "0".repeat(16) };
  const told = { ...model, image_id: imageId, vision_passes: 0 };
  const asked = { ...about, texts, scores: ["itm" as const, "itc" as const], deadline_ms };
  const both = { itm: 0.5, itc: 0.5 };

  test("match: a score that was asked for is missing, a match is", () => {
    const fault = (matches: { itm?: number; itc?: number }[]) =>
      matchCall.fault(asked, { ...told, matches });
    expect(fault([both, both])).toBeUndefined();
    expect(fault([both, { itm: 1 }])).toBe("a match without itc");
    expect(fault([both])).toBe("1 results for 2");
    expect(
      matchCall.fault({ ...asked, scores: ["itm"] }, { ...told, matches: [both, { itm: 1 }] }),
    ).toBeUndefined();
  });

  test("embed: too few, of other dimensions, not finite", () => {
    const ofText = { ...model, features: "projected" as const, texts, deadline_ms };
    const ofImage = { ...about, features: "projected" as const, deadline_ms };
    const row = writeEmbedding([2], [1, 2]);
    const matrix = writeEmbedding([1, 2], [1, 2]);
    const fault = (request: EmbedRequest, ...embeddings: (typeof row)[]) =>
      embedCall.fault(request, { ...told, embeddings });
    expect(fault(ofText, row, row)).toBeUndefined();
    expect(fault({ ...ofText, features: "query" }, matrix, matrix)).toBeUndefined();
    expect(fault(ofImage, matrix)).toBeUndefined();
    expect(fault(ofText, row)).toBe("1 results for 2");
    expect(fault(ofImage, matrix, matrix)).toBe("2 results for 1");
    expect(fault(ofText, matrix, matrix)).toBe("an embedding of other dimensions");
    expect(fault({ ...ofText, features: "query" }, row, row)).toMatch(/dimensions/);
    expect(fault(ofImage, row)).toBe("an embedding of other dimensions");
    expect(fault(ofImage, { ...matrix, dims: [2, 2] })).toMatch(/does not fit/);
    expect(fault(ofImage, writeEmbedding([1, 1], [Number.NaN]))).toMatch(/not finite/);
  });
});

test("an aborted request stops the exchange with the signal's reason", async () => {
  const controller = new AbortController();
  const hangs: Fetch = (_, { signal }) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(new Error("aborted")));
    });
  const exchange = nodeExchange({
    nodeUrl: "http://node.example",
    fetch: hangs,
    sign: () => Promise.resolve({}),
  });
  const request: NodeRequest = {
    method: "GET",
    path: "/v1/catalog",
    contentType: undefined,
    body: undefined,
  };
  const asking = exchange(request, controller.signal);
  setTimeout(() => controller.abort(new AppError("canceled", "gone")), 5);
  await expect(asking).rejects.toMatchObject({ code: "canceled" });
});
