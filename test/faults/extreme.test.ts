// Requests that are allowed and that nobody would send: every parameter at its ends, texts of odd characters.
// Whatever is answered, nothing of it is the node's own failure.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { generationSchema } from "@blip2-edge/shared/contracts/generation";
import {
  type Catalog,
  embedResponseSchema,
  inferResponseSchema,
  matchResponseSchema,
} from "@blip2-edge/shared/wire/protocol";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type NodeClient, nodeClient } from "../support/node-client.ts";
import { serveNode, type ServedNode } from "../support/served-node.ts";
import { buildTinyPair, pairSize } from "../support/tiny-pair.ts";
import { type Random, seededRandom } from "./random.ts";

let folder: string;
let node: ServedNode;
let client: NodeClient;
let revisions: ReadonlyMap<string, string>;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "blip2-extreme-"));
  const { writer, comparer } = await buildTinyPair(folder);
  node = await serveNode({ models: [writer, comparer] });
  client = await nodeClient(node.url);
  const headers = await client.sign("GET", "/v1/catalog");
  const catalog = (await (await fetch(`${node.url}/v1/catalog`, { headers })).json()) as Catalog;
  revisions = new Map(catalog.models.map((each) => [each.model, each.model_revision]));
});
afterAll(async () => {
  await node?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The ends of every range, and a place or two between. */
const ends = {
  max_new_tokens: [1, 3, 256],
  min_new_tokens: [0, 2, 256],
  max_length: [1, 4, 2048],
  min_length: [0, 3, 2048],
  num_beams: [1, 2, 16],
  length_penalty: [-10, -0.5, 0, 10],
  early_stopping: [true, false, "never"],
  repetition_penalty: [Number.MIN_VALUE, 1e-300, 0.5, 10],
  no_repeat_ngram_size: [0, 1, 2, 64],
  do_sample: [true, false],
  temperature: [Number.MIN_VALUE, 1e-30, 1, 100],
  top_k: [0, 1, 2, 1_000_000],
  top_p: [0, Number.MIN_VALUE, 0.5, 1],
  num_return_sequences: [1, 2, 16],
  seed: [0, 7, 0xffff_ffff],
} as const;

function generation(random: Random): unknown {
  for (;;) {
    const chosen = Object.entries(ends).filter(() => random.int(3) === 0);
    const request = Object.fromEntries(
      chosen.map(([name, values]) => [name, random.pick<unknown>(values)]),
    );
    if (generationSchema.safeParse(request).success) return request;
  }
}

/** As the edge reads them: numbers that JSON cannot say would be null there. */
const answers = {
  "/v1/infer": inferResponseSchema,
  "/v1/match": matchResponseSchema,
  "/v1/embed": embedResponseSchema,
} as const;

const oddTexts: readonly string[] = [
  " ",
  "\u0000",
  "\ud800",
  "a\udfff b",
  "\u202e\u200d\ufeff",
  "🦁".repeat(50),
  "a cat on the mat ".repeat(2),
  "\n\r\t",
  "<image>",
  "[CLS] [SEP] [PAD] </s>",
  "x".repeat(8192),
  "e\u0301".repeat(300),
];

test(
  "500 of them: answered or refused with a 4xx problem, by the same door and engine",
  { timeout: 180_000 },
  async () => {
    const engine = await node.enginePid();
    const random = seededRandom(11);
    const pixels = () => {
      const drawn = random.bytes(pairSize ** 2 * 3);
      return random.pick([drawn, drawn.fill(0), drawn.fill(255)]);
    };
    const about = (name: string) => ({
      model: name,
      model_revision: revisions.get(name),
      partition: "c".repeat(32),
      image: { image_id: `img_${"d".repeat(64)}`, size: pairSize },
      deadline_ms: 20_000,
    });
    const statuses = new Map<number, number>();
    const failures: unknown[] = [];
    for (let sent = 0; sent < 500; sent++) {
      const texts = Array.from({ length: 1 + random.int(3) }, () => random.pick(oddTexts));
      const [at, json] = random.pick([
        ["/v1/infer", { ...about("writer"), texts, generation: generation(random) }],
        ["/v1/infer", { ...about("writer"), texts: [null], generation: generation(random) }],
        ["/v1/match", { ...about("comparer"), texts, scores: ["itm", "itc"] }],
        ["/v1/embed", { ...about("comparer"), features: "projected" }],
      ] as const);
      const { body, contentType } = writeFrame({ json: JSON.stringify(json), pixels: pixels() });
      const response = await fetch(`${node.url}${at}`, {
        method: "POST",
        headers: await client.sign("POST", at, body, contentType),
        body: body as Uint8Array<ArrayBuffer>,
      });
      const answer: unknown = await response.json();
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      const isRefusal = response.status >= 400 && response.status <= 499;
      if (!isRefusal && !answers[at].safeParse(answer).success) {
        failures.push({ json, answer, line: node.logged("request").at(-1) });
      }
    }
    expect(failures.slice(0, 3)).toEqual([]);
    expect(statuses.get(200) ?? 0).toBeGreaterThan(200);
    expect(await node.enginePid()).toBe(engine);
    expect(node.logged("engine_ended")).toEqual([]);
  },
);
