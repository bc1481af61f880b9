// A node of two processes that serves a writer and a comparer with one vision tower, asked over HTTP.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromProblem } from "@blip2-edge/shared/problem";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import {
  type CatalogModel,
  catalogSchema,
  embedResponseSchema,
  inferResponseSchema,
  matchResponseSchema,
} from "@blip2-edge/shared/wire/protocol";
import { createSigner, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildTinyPair, pairSize } from "../../../test/support/tiny-pair.ts";
import { silentLog } from "../observe/log.ts";
import { loadRetrievalModel } from "../runtime/load-model.ts";
import { type RunningNode, startNode } from "./start-node.ts";

const keys = parseSigningKeys("test:0123456789abcdef0123456789abcdef");
const signer = createSigner({ keys });
let root: string;
let comparerDir: string;
let node: RunningNode;
let models: readonly CatalogModel[];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "two-models-"));
  const { writer, comparer } = await buildTinyPair(root);
  comparerDir = comparer;
  node = await startNode(
    {
      host: "127.0.0.1",
      port: 0,
      keys,
      maxQueueMs: 60_000,
      maxJobs: 16,
      drainMs: 1000,
      rssBytes: () => 0,
      engine: {
        modelDirs: [writer, comparer],
        threads: 1,
        provider: "cpu",
        featureStoreMaxBytes: 1 << 20,
      },
    },
    silentLog,
  );
  ({ models } = catalogSchema.parse(await (await send("GET", "/v1/catalog")).json()));
});
afterAll(async () => {
  await node.stop();
  await rm(root, { recursive: true });
});

async function send(method: string, path: string, body?: Uint8Array, contentType?: string) {
  const url = `${node.url}${path}`;
  const headers = await signer.sign({
    method,
    url,
    ...(body === undefined ? {} : { body }),
    ...(contentType === undefined ? {} : { contentType }),
  });
  return fetch(url, {
    method,
    headers,
    ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
  });
}

const pixels = Uint8Array.from({ length: pairSize ** 2 * 3 }, (_, at) => (at * 91) % 256);
/** `name` is the model's; with `framed` the pixels go along. */
function ask(path: string, name: string, fields: object, framed = false): Promise<Response> {
  const { model_revision } = models.find(({ model }) => model === name) ?? {};
  const json = JSON.stringify({ model: name, model_revision, deadline_ms: 20_000, ...fields });
  if (framed) {
    const { body, contentType } = writeFrame({ json, pixels });
    return send("POST", path, body, contentType);
  }
  return send("POST", path, new TextEncoder().encode(json), "application/json");
}
const about = (partition: string) => ({
  partition: partition.padStart(32, "0"),
  image: { image_id: `img_${"d".repeat(64)}`, size: pairSize },
});
const texts = ["a cat on the mat", "dogs"];
const both = { texts, scores: ["itm", "itc"] };

async function metric(name: string): Promise<number> {
  const text = await (await send("GET", "/metrics")).text();
  return Number(new RegExp(`^${name} (.+)$`, "m").exec(text)?.[1]);
}
const codeOf = async (response: Response) => {
  const problem = fromProblem(await response.json());
  return [response.status, problem?.code, problem?.detail];
};

const floats = (base64: string): Float32Array =>
  new Float32Array(new Uint8Array(Buffer.from(base64, "base64")).buffer);

test("the catalogue says what each of them can do", () => {
  expect(models).toMatchObject([
    { model: "writer", family: "opt", abilities: ["caption", "vqa"] },
    { model: "comparer", family: "retrieval", abilities: ["match", "embed"] },
  ]);
  expect(models[1]?.question_template).toBeUndefined();
});

describe("one picture", () => {
  test("captioned by one, matched and embedded by the other, is looked at once", async () => {
    const before = await metric("vision_passes_total");
    const avoided = await metric("vision_passes_avoided_total");
    const generation = { max_new_tokens: 3 };
    const caption = await ask(
      "/v1/infer",
      "writer",
      { ...about("a"), texts: [null], generation },
      true,
    );
    expect(inferResponseSchema.parse(await caption.json()).vision_passes).toBe(1);

    const match = await ask("/v1/match", "comparer", { ...about("a"), ...both });
    const matched = matchResponseSchema.parse(await match.json());
    const embed = await ask("/v1/embed", "comparer", { ...about("a"), features: "projected" });
    const embedded = embedResponseSchema.parse(await embed.json());
    expect([matched.vision_passes, embedded.vision_passes]).toEqual([0, 0]);
    expect(match.headers.get("server-timing")).toMatch(/^queue;dur=.*, vision;dur=.*, match;dur=/);

    const model = await loadRetrievalModel(comparerDir, { threads: 1 });
    const seen = await model.lookAt(pixels);
    const direct = await model.match(seen, texts, ["itm", "itc"]);
    await model.close();
    for (const [at, { itm = NaN, itc = NaN }] of direct.entries()) {
      expect(matched.matches[at]?.itm).toBeCloseTo(itm, 6);
      expect(matched.matches[at]?.itc).toBeCloseTo(itc, 6);
    }
    expect(embedded.embeddings.map(({ dims }) => dims)).toEqual([[3, 7]]);
    expect(floats(embedded.embeddings[0]?.data ?? "")).toEqual(seen.projected.data);

    expect(await metric("vision_passes_total")).toBe(before + 1);
    expect(await metric("vision_passes_avoided_total")).toBe(avoided + 2);
    expect(await metric("matches_total")).toBeGreaterThanOrEqual(2);
    expect(await metric("embeddings_total")).toBeGreaterThanOrEqual(1);
  });

  test("is not there for another partition: 428, and the pixels help", async () => {
    const match = (framed: boolean) =>
      ask("/v1/match", "comparer", { ...about("b"), ...both }, framed);
    expect((await codeOf(await match(false))).slice(0, 2)).toEqual([428, "pixels_required"]);
    expect((await match(true)).status).toBe(200);
    expect((await match(false)).status).toBe(200);
    const raw = { ...about("b"), features: "query" };
    expect((await ask("/v1/embed", "comparer", raw)).status).toBe(200);
  });
});

test("texts are embedded in one call, and no pass is counted as avoided", async () => {
  const avoided = await metric("vision_passes_avoided_total");
  const response = await ask("/v1/embed", "comparer", { texts, features: "query" });
  const { embeddings } = embedResponseSchema.parse(await response.json());
  expect(embeddings.map(({ dims }) => dims)).toEqual([
    [7, 6],
    [4, 6],
  ]);
  for (const { data } of embeddings) expect(floats(data).every(Number.isFinite)).toBe(true);
  expect(response.headers.get("server-timing")).toMatch(/^queue;dur=.*, embed;dur=/);
  expect(await metric("vision_passes_avoided_total")).toBe(avoided);
});

test("a model that cannot do it is refused with the one that can", async () => {
  const [status, code, detail] = await codeOf(
    await ask("/v1/match", "writer", { ...about("a"), ...both }),
  );
  expect([status, code]).toEqual([400, "invalid_request"]);
  expect(detail).toMatch(/"writer" cannot .*match.* can: caption, vqa\. Ask for comparer\./);
  const asked = { ...about("a"), texts: [null], generation: {} };
  expect((await codeOf(await ask("/v1/infer", "comparer", asked)))[2]).toMatch(/Ask for writer/);
});

test("a text that is too long is the caller's problem, with its numbers", async () => {
  const fields = { ...about("c"), ...both, texts: ["a", "cat ".repeat(30)] };
  const [status, code, detail] = await codeOf(await ask("/v1/match", "comparer", fields, true));
  expect([status, code]).toEqual([400, "prompt_too_long"]);
  expect(detail).toMatch(/32 tokens.* at most 8/);
});
