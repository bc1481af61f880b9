import { AppError } from "@blip2-edge/shared/problem";
import { readFrame } from "@blip2-edge/shared/wire/frame";
import { inferRequestSchema } from "@blip2-edge/shared/wire/protocol";
import { expect, test } from "vitest";
import { nodeExchange, type Fetch, type NodeRequest } from "./exchange.ts";
import { heldImages } from "./held-images.ts";
import { nodeInfer, type InferCall } from "./infer.ts";

const imageId = `img_${"a".repeat(64)}`;
const pixels = new Uint8Array(14 * 14 * 3).fill(7);
const call: InferCall = {
  request: {
    model: "m",
    model_revision: "0".repeat(16),
    partition: "0".repeat(32),
    image: { image_id: imageId, size: 14 },
    texts: [null],
    generation: {},
  },
  pixels,
  loadPixels: () => Promise.resolve(undefined),
  remainingMs: () => 1234.5,
};
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

function infer(steps: ((request: NodeRequest) => unknown)[]) {
  const seen: NodeRequest[] = [];
  const held = heldImages();
  const run = nodeInfer({
    held,
    retryWaitMs: 0,
    exchange: (request) => {
      seen.push(request);
      const step = steps.shift();
      if (step === undefined) throw new Error("asked too often");
      return Promise.resolve().then(() => step(request));
    },
  });
  return { run, seen, held };
}
const lacksPixels = (): never => {
  throw new AppError("pixels_required", "");
};

test("pixels travel framed, with the time that is left", async () => {
  const { run, seen } = infer([() => answer]);
  expect(await run(call, never)).toMatchObject({ attempts: 1, sentPixels: true });
  const [request] = seen;
  const frame = readFrame(request?.body ?? new Uint8Array(), request?.contentType ?? "");
  expect(frame.pixels).toEqual(pixels);
  expect(inferRequestSchema.parse(JSON.parse(frame.json)).deadline_ms).toBe(1234);
});

test("a picture believed held goes as JSON; the node's 428 corrects the belief", async () => {
  const { run, seen } = infer([() => answer, lacksPixels, () => answer]);
  await run(call, never);
  await run(call, never);
  expect(seen.map(({ contentType }) => contentType?.split(";")[0])).toEqual([
    "multipart/related",
    "application/json",
    "multipart/related",
  ]);
});

test("no pixels anywhere: image_pixels_gone", async () => {
  const { run } = infer([lacksPixels]);
  const gone = run({ ...call, pixels: undefined }, never);
  await expect(gone).rejects.toMatchObject({ code: "image_pixels_gone" });
});

test("a node that asks for pixels it was sent is not asked for ever", async () => {
  const { run, seen } = infer([lacksPixels, lacksPixels]);
  await expect(run(call, never)).rejects.toMatchObject({ code: "node_protocol" });
  expect(seen).toHaveLength(1);
});

test("too few results are not an answer", async () => {
  const { run } = infer([() => ({ ...answer, results: [] })]);
  await expect(run(call, never)).rejects.toMatchObject({ code: "node_protocol" });
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
