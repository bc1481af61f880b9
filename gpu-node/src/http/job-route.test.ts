// What match and embed refuse and pass on, without an engine; infer-route.test.ts has the same of infer.
import { AppError } from "@blip2-edge/shared/problem";
import { framedType, writeFrame } from "@blip2-edge/shared/wire/frame";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import { assert, asyncProperty, constantFrom, json as jsonText, uint8Array } from "fast-check";
import { describe, expect, test } from "vitest";
import type { Dispatched } from "../engine/dispatcher.ts";
import type { Job } from "../engine/messages.ts";
import { embed } from "./embed-route.ts";
import type { Answered, JobCall, JobRooms } from "./job-route.ts";
import { match } from "./match-route.ts";

const revision = "0123456789abcdef";
const model = (name: string, abilities: string[]): CatalogModel => ({
  model: name,
  model_revision: revision,
  family: "retrieval",
  image_size: 14,
  abilities,
});
const about = {
  partition: "a".repeat(32),
  image: { image_id: `img_${"b".repeat(64)}`, size: 14 },
};
const common = { model: "nano-itm", model_revision: revision, deadline_ms: 1000 };
const requests = {
  match: { ...common, ...about, texts: ["a", "b c"], scores: ["itc"] },
  embedImage: { ...common, ...about, features: "query" },
  embedTexts: { ...common, texts: ["a"], features: "projected" },
};
const vector = { type: "float32", dims: [2], data: Float32Array.of(0.25, -1) } as const;
const outcomes: Record<Job["kind"], Dispatched> = {
  generate: {
    kind: "generate",
    results: [],
    firstTokenMs: 0,
    visionPasses: 0,
    stages: {},
    queueMs: 0,
  },
  match: { kind: "match", matches: [{ itc: 0.5 }], visionPasses: 1, stages: {}, queueMs: 0 },
  embed_image: { kind: "embed", embeddings: [vector], visionPasses: 1, stages: {}, queueMs: 0 },
  embed_texts: { kind: "embed", embeddings: [vector], visionPasses: 0, stages: {}, queueMs: 0 },
};

function roomsOf(options: { held?: boolean; jobs?: Job[] } = {}): JobRooms {
  const { held = true, jobs = [] } = options;
  return {
    models: () => [model("nano", ["caption"]), model("nano-itm", ["match", "embed"])],
    holds: () => held,
    dispatcher: {
      run: (job) => {
        jobs.push(job);
        return Promise.resolve(outcomes[job.kind]);
      },
    },
  };
}
const never = new AbortController().signal;
type Route = (call: JobCall) => Promise<Answered>;
const call = (route: Route, request: object, rooms = roomsOf(), pixels?: Uint8Array) => {
  const json = JSON.stringify(request);
  const sent =
    pixels === undefined
      ? { body: new TextEncoder().encode(json), contentType: "application/json" }
      : writeFrame({ json, pixels });
  return route({ rooms, ...sent, gone: never });
};
const refusal = async (...args: Parameters<typeof call>) => {
  const error: unknown = await call(...args).catch((caught: unknown) => caught);
  if (!(error instanceof AppError)) throw new Error("it was not refused");
  return error;
};

const cases: readonly (readonly [string, Route, object])[] = [
  ["match", match, requests.match],
  ["embed of an image", embed, requests.embedImage],
  ["embed of texts", embed, requests.embedTexts],
];

describe.each(cases)("%s", (name, route, request) => {
  test.each(Object.keys(request).filter((key) => key !== "image" && key !== "texts"))(
    "a wrong %s is refused by its name",
    async (field) => {
      const error = await refusal(route, { ...request, [field]: { wrong: true } });
      expect(error.code).toBe("invalid_request");
      expect(error.errors?.map((each) => each.field.split(".")[0])).toEqual([field]);
    },
  );

  test("an unknown field, model or revision, and a model that cannot do it", async () => {
    const extra = await refusal(route, { ...request, temperature: 1 });
    expect(extra.errors?.[0]?.message).toMatch(/temperature/);
    const unknown = await refusal(route, { ...request, model: "x" });
    expect(unknown.code).toBe("model_not_found");
    const stale = await refusal(route, { ...request, model_revision: "f".repeat(16) });
    expect(stale.code).toBe("revision_mismatch");
    const unable = await refusal(route, { ...request, model: "nano" });
    expect(unable.detail).toMatch(/"nano" cannot .*; it can: caption\. Ask for nano-itm\./);
  });

  test("whatever a body holds, it is answered or refused from the table, never a crash", async () => {
    const boundary = `${framedType}; boundary="x"`;
    const type = constantFrom("application/json", boundary, "", "text/plain; charset=x");
    await assert(
      asyncProperty(
        uint8Array({ maxLength: 300 }),
        jsonText(),
        type,
        async (pixels, json, contentType) => {
          for (const body of [pixels, writeFrame({ json, pixels }, "x").body]) {
            const sent = { rooms: roomsOf(), body, contentType, gone: never };
            const error: unknown = await route(sent).catch((caught: unknown) => caught);
            expect(error, name).toBeInstanceOf(AppError);
            expect((error as AppError).kind.status).toBeLessThan(500);
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});

test("a match job holds what the request said; its answer what the engine found", async () => {
  const jobs: Job[] = [];
  const pixels = new Uint8Array(14 * 14 * 3).fill(9);
  const { response, items, visionPasses } = await call(
    match,
    requests.match,
    roomsOf({ jobs, held: false }),
    pixels,
  );
  expect(jobs).toEqual([
    {
      kind: "match",
      model: "nano-itm",
      modelRevision: revision,
      priority: "interactive",
      deadlineMs: 1000,
      partition: about.partition,
      imageId: about.image.image_id,
      pixels,
      texts: ["a", "b c"],
      scores: ["itc"],
    },
  ]);
  expect(response).toMatchObject({ matches: [{ itc: 0.5 }], vision_passes: 1 });
  expect([items, visionPasses]).toEqual([1, 1]);
});

test("embeddings travel as float32, little endian, in base64", async () => {
  const { response, visionPasses } = await call(embed, requests.embedTexts);
  const data = Buffer.from([0, 0, 0x80, 0x3e, 0, 0, 0x80, 0xbf]).toString("base64");
  expect(response).toMatchObject({ embeddings: [{ dims: [2], data }], vision_passes: 0 });
  expect(visionPasses).toBeUndefined();
});

test("an image that is not held needs its pixels; texts need none and take none", async () => {
  const jobs: Job[] = [];
  const rooms = roomsOf({ held: false, jobs });
  expect((await refusal(match, requests.match, rooms)).code).toBe("pixels_required");
  expect((await refusal(embed, requests.embedImage, rooms)).code).toBe("pixels_required");
  expect(jobs).toEqual([]);
  await call(embed, requests.embedTexts, rooms);
  expect(jobs).toHaveLength(1);
  const pixels = new Uint8Array(14 * 14 * 3);
  expect((await refusal(embed, requests.embedTexts, rooms, pixels)).detail).toMatch(
    /without pixels/,
  );
});

test("pixels of another size than the model's, or than they say", async () => {
  const other = { ...requests.match, image: { ...about.image, size: 28 } };
  const large = await refusal(match, other, roomsOf(), new Uint8Array(28 * 28 * 3));
  expect(large.detail).toMatch(/takes pixels of 14 x 14, not 28 x 28/);
  expect((await refusal(match, requests.match, roomsOf(), new Uint8Array(5))).code).toBe(
    "invalid_request",
  );
});

test("more texts than one request may hold, none, and an empty one", async () => {
  for (const texts of [Array.from({ length: 65 }, () => "a"), [], ["a", ""]]) {
    const error = await refusal(match, { ...requests.match, texts });
    expect(error.errors?.[0]?.field).toMatch(/^texts/);
    const embedding = await refusal(embed, { ...requests.embedTexts, texts });
    expect(embedding.errors?.[0]?.field).toMatch(/^texts/);
  }
});
