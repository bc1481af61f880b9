import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { AppError } from "@blip2-edge/shared/problem";
import { framedType, writeFrame } from "@blip2-edge/shared/wire/frame";
import type { CatalogModel, InferRequest } from "@blip2-edge/shared/wire/protocol";
import { assert, asyncProperty, constantFrom, json as jsonText, uint8Array } from "fast-check";
import { expect, test } from "vitest";
import type { Job } from "../engine/messages.ts";
import { infer } from "./infer-route.ts";

const model: CatalogModel = {
  model: "nano",
  model_revision: "0123456789abcdef",
  family: "opt",
  image_size: 14,
  abilities: ["caption"],
  question_template: "{}",
};
const request: InferRequest = {
  model: "nano",
  model_revision: model.model_revision,
  partition: "a".repeat(32),
  image: { image_id: `img_${"b".repeat(64)}`, size: 14 },
  texts: [null],
  generation: {},
  deadline_ms: 1000,
};
const never = new AbortController().signal;
const rooms = (jobs: Job[] = []) => ({
  models: () => [model],
  holds: () => true,
  dispatcher: {
    run: (job: Job) => {
      jobs.push(job);
      return Promise.resolve({
        kind: "generate" as const,
        results: [],
        firstTokenMs: 0,
        visionPasses: 0,
        stages: {},
        queueMs: 0,
      });
    },
  },
});
const json = { rooms: rooms(), contentType: "application/json", gone: never };
const encode = (text: string) => new TextEncoder().encode(text);

test("whatever a body holds, it is answered or refused from the table, never a crash", async () => {
  const boundary = `${framedType}; boundary="x"`;
  const type = constantFrom("application/json", boundary, "", "text/plain; charset=x");
  const frame = (pixels: Uint8Array, text: string) => writeFrame({ json: text, pixels }, "x").body;
  await assert(
    asyncProperty(
      uint8Array({ maxLength: 300 }),
      jsonText(),
      type,
      async (bytes, text, contentType) => {
        for (const body of [
          bytes,
          encode(text),
          frame(bytes, text),
          frame(bytes, "[").subarray(9),
        ]) {
          const error: unknown = await infer({
            rooms: rooms(),
            body,
            contentType,
            gone: never,
          }).catch((caught: unknown) => caught);
          expect(error).toBeInstanceOf(AppError);
          expect((error as AppError).kind.status).toBeLessThan(500);
        }
      },
    ),
  );
});

test.each(Object.keys(request))("a wrong %s is refused by its name", async (name) => {
  const text = JSON.stringify({ ...request, [name]: { wrong: true } });
  const run = infer({ ...json, body: encode(text) });
  const error = (await run.catch((caught: unknown) => caught)) as AppError;
  expect(error.code).toBe("invalid_request");
  expect(error.errors?.length).toBeGreaterThan(0);
  for (const { field } of error.errors ?? []) expect(field.split(".")[0]).toBe(name);
});

test("a job holds what the request said and nothing else", async () => {
  const jobs: Job[] = [];
  const body = encode(JSON.stringify({ ...request, texts: [null, "a b"] }));
  await infer({
    ...json,
    rooms: rooms(jobs),
    body,
    contentType: "application/json; charset=utf-8",
  });
  expect(jobs).toEqual([
    {
      kind: "generate",
      model: "nano",
      modelRevision: model.model_revision,
      priority: "interactive",
      deadlineMs: 1000,
      partition: request.partition,
      imageId: request.image.image_id,
      texts: [null, "a b"],
      generation: resolveGeneration({}),
      stream: false,
    },
  ]);
});

test("a client that is gone before the start never reaches the engine's work", async () => {
  const signals: AbortSignal[] = [];
  const watching = {
    ...rooms(),
    dispatcher: {
      run: (_: Job, signal: AbortSignal) => {
        signals.push(signal);
        signal.throwIfAborted();
        return rooms().dispatcher.run(_);
      },
    },
  };
  const body = encode(JSON.stringify(request));
  const gone = AbortSignal.abort();
  const run = async () => infer({ ...json, rooms: watching, body, gone });
  await expect(run()).rejects.toMatchObject({ code: "canceled" });
  expect(signals[0]?.aborted).toBe(true);
});
