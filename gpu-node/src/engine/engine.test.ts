// The engine's room with two real models, the smallest there are, that have one vision tower.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { buildTinyPair, pairSize } from "../../../test/support/tiny-pair.ts";
import type { RunningBatch } from "../generate/running-batch.ts";
import type { GenerationModel } from "../runtime/generation-model.ts";
import { loadModels } from "../runtime/load-model.ts";
import type { RetrievalModel } from "../runtime/retrieval-model.ts";
import { createEngine, type EngineRoom } from "./engine.ts";
import { createFeatureStore } from "./feature-store.ts";
import type {
  EmbedImageJob,
  GenerateJob,
  Job,
  MatchJob,
  Outcome,
  StoreChange,
} from "./messages.ts";

let root: string;
let writer: GenerationModel;
let comparer: RetrievalModel;
let passes: () => number;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "engine-"));
  const { writer: first, comparer: second } = await buildTinyPair(root);
  const models = await loadModels([first, second], { threads: 1 });
  const [one, other] = models;
  if (one?.kind !== "generation" || other?.kind !== "retrieval") throw new Error("wrong kinds");
  [writer, comparer] = [one, other];
});
afterAll(async () => {
  await Promise.all([writer.close(), comparer.close()]);
  await rm(root, { recursive: true });
});

let engine: EngineRoom;
let changes: StoreChange[];
const never = new AbortController().signal;
const run = (job: Job): Promise<Outcome> =>
  engine.run(job, never, { onStore: (change) => void changes.push(change), onVisionPass });
const onVisionPass = vi.fn();
function start(maxBytes = 1 << 20): void {
  changes = [];
  onVisionPass.mockReset();
  const vision = vi.fn(writer.vision);
  passes = () => vision.mock.calls.length;
  // Both models call the one tower they share, so one watcher sees every pass.
  engine = createEngine(
    [
      { ...writer, vision },
      { ...comparer, vision },
    ],
    createFeatureStore(maxBytes),
  );
}
beforeEach(() => start());

const pixels = Uint8Array.from({ length: pairSize ** 2 * 3 }, (_, at) => (at * 37) % 256);
const image = { partition: "p", imageId: "i" };
const withPixels = { ...image, pixels };
const texts = ["a cat on the mat", "dogs"];
const when = { priority: "interactive", deadlineMs: 10_000 } as const;
const ofWriter = () => ({
  ...when,
  model: "writer",
  modelRevision: writer.manifest.model_revision,
});
const ofComparer = () => ({
  ...when,
  model: "comparer",
  modelRevision: comparer.manifest.model_revision,
});
const caption = (about: typeof image = image): GenerateJob => ({
  kind: "generate",
  ...ofWriter(),
  ...about,
  texts: [null],
  generation: resolveGeneration({ max_new_tokens: 4 }),
  stream: false,
});
const match = (scores: MatchJob["scores"], about: typeof image = image): MatchJob => ({
  kind: "match",
  ...ofComparer(),
  ...about,
  texts,
  scores,
});
const embed = (
  features: EmbedImageJob["features"],
  about: typeof image = image,
): EmbedImageJob => ({ kind: "embed_image", ...ofComparer(), ...about, features });

describe("one picture", () => {
  test("captioned, matched and embedded costs one vision pass, whoever comes first", async () => {
    const jobs = [
      caption(withPixels),
      match(["itm", "itc"], withPixels),
      embed("projected", withPixels),
      embed("query", withPixels),
    ];
    for (const first of jobs) {
      start();
      const order = [first, ...jobs.filter((job) => job !== first)];
      const made = [];
      for (const job of order) made.push((await run(job)).visionPasses);
      expect(made).toEqual([1, 0, 0, 0]);
      expect(passes()).toBe(1);
      expect(onVisionPass).toHaveBeenCalledOnce();
    }
  });

  test("what comes from the store is what the model gives of its own", async () => {
    await run(caption(withPixels));
    const seen = await comparer.lookAt(pixels);
    const direct = await comparer.match(seen, texts, ["itm", "itc"]);
    expect(await run(match(["itm", "itc"]))).toMatchObject({ kind: "match", matches: direct });
    const again = await run(match(["itc"]));
    expect(again).toMatchObject({ matches: direct.map(({ itc }) => ({ itc })) });
    expect(Object.keys(again.stages)).toEqual(["wait", "vision", "match"]);
    const vectors = { dims: [3, 7], data: seen.projected.data };
    expect(await run(embed("projected"))).toMatchObject({ embeddings: [vectors] });
    const raw = { dims: [3, 6], data: seen.queryOutput.data };
    expect(await run(embed("query"))).toMatchObject({ embeddings: [raw] });
  });

  test("of another partition is not seen", async () => {
    await run(caption(withPixels));
    const other = { ...image, partition: "q" };
    for (const job of [caption(other), match(["itm"], other), embed("projected", other)]) {
      await expect(run(job)).rejects.toMatchObject({ code: "pixels_required" });
    }
  });

  test("whose query vectors alone are left serves what needs no more", async () => {
    await run(embed("projected", withPixels));
    const held = changes.flatMap(({ added }) => added ?? []);
    expect(held).toHaveLength(2);
    // Room for the query vectors and not for the tower's output as well.
    start(3 * 7 * 4);
    expect((await run(embed("projected", withPixels))).visionPasses).toBe(1);
    expect((await run(match(["itc"]))).visionPasses).toBe(0);
    await expect(run(match(["itm"]))).rejects.toMatchObject({ code: "pixels_required" });
    await expect(run(embed("query"))).rejects.toMatchObject({ code: "pixels_required" });
  });
});

test("a writer that shares its tower with nobody keeps its features alone", async () => {
  engine = createEngine([writer], createFeatureStore(1 << 20));
  await run(caption(withPixels));
  expect(changes.map(({ added }) => added)).toEqual([`p/i/${ofWriter().modelRevision}`]);
});

test("texts are embedded without an image", async () => {
  for (const features of ["projected", "query"] as const) {
    const outcome = await run({ kind: "embed_texts", ...ofComparer(), texts, features });
    const direct = await comparer.embedTexts(texts);
    const want = direct.map((each) => (features === "query" ? each.textOutput : each.projected));
    expect(outcome).toMatchObject({ kind: "embed", embeddings: want, visionPasses: 0 });
  }
});

test("the catalogue says what each can do, and which have one tower", () => {
  expect(engine.models).toMatchObject([
    { family: "opt", abilities: ["caption", "vqa"], question_template: "Question: {} Answer:" },
    { family: "retrieval", abilities: ["match", "embed"], image_size: pairSize },
  ]);
  expect(engine.models[1]).not.toHaveProperty("question_template");
  expect(new Set(Object.values(engine.visionKeys)).size).toBe(1);
});

test("warming up runs every graph", async () => {
  await engine.warmUp();
  expect(passes()).toBe(2);
  expect(changes).toEqual([]);
});

test("a model asked for what it cannot do, an unknown one, and another revision are refused", async () => {
  const refused = async (job: Job) => run(job).catch((error: unknown) => error);
  const wrong = { ...match(["itc"], withPixels), ...ofWriter() };
  expect(await refused(wrong)).toMatchObject({ code: "invalid_request" });
  const asked = { ...caption(withPixels), ...ofComparer() };
  expect(await refused(asked)).toMatchObject({ code: "invalid_request" });
  expect(await refused({ ...asked, model: "x" })).toMatchObject({ code: "model_not_found" });
  const stale = { ...caption(withPixels), modelRevision: "x" };
  expect(await refused(stale)).toMatchObject({ code: "revision_mismatch" });
  expect(onVisionPass).not.toHaveBeenCalled();
});

test("a text that is too long is refused with its numbers", async () => {
  const job = { ...match(["itm"], withPixels), texts: ["cat ".repeat(7)] };
  await expect(run(job)).rejects.toMatchObject({
    code: "prompt_too_long",
    detail: expect.stringMatching(/takes 9 tokens.* at most 8/) as string,
  });
});

test("a job knows when it was in which stage, and how full the batches were", async () => {
  const generation = resolveGeneration({ max_new_tokens: 6, min_new_tokens: 6 });
  const two = { ...caption(withPixels), texts: [null, "a cat"], generation };
  const other = { ...caption({ ...withPixels, imageId: "j" }), generation };
  const [outcome] = await Promise.all([run(two), run(other)]);
  const { detail, stages } = outcome;
  const timeline = detail?.timeline ?? [];
  expect(new Set(timeline.map(({ stage }) => stage))).toEqual(
    new Set(["vision", "prefill", "decode"]),
  );
  const inEngineMs = Object.values(stages).reduce((sum, tookMs) => sum + tookMs, 0);
  let at = 0;
  for (const { startMs, endMs } of timeline) {
    expect(startMs).toBeGreaterThanOrEqual(at);
    expect(endMs).toBeGreaterThanOrEqual(startMs);
    at = endMs;
  }
  expect(at).toBeLessThanOrEqual(inEngineMs + 0.001);
  expect(detail?.visionImages).toBeGreaterThanOrEqual(1);
  expect(detail?.decodeRuns).toBeGreaterThanOrEqual(1);
  // The first token is the prefill's.
  expect(detail?.decodeSteps).toBe(5);
  expect(detail?.meanRows).toBeGreaterThanOrEqual(2);
  expect(detail?.meanRows).toBeLessThanOrEqual(3);
});

test("a job whose image was held was in no vision batch", async () => {
  await run(caption(withPixels));
  const { detail } = await run(caption());
  expect(detail?.visionImages).toBeUndefined();
  expect(detail?.timeline?.map(({ stage }) => stage)).toEqual(["prefill", "decode"]);
});

test("who leaves while its prompt is read has no row in the next run", async () => {
  const leaver = new AbortController();
  const joins = vi.fn();
  const leavingWriter: GenerationModel = {
    ...writer,
    openBatch: <Key>(): RunningBatch<Key> => {
      const batch = writer.openBatch<Key>();
      return {
        ...batch,
        get rows() {
          return batch.rows;
        },
        get bytes() {
          return batch.bytes;
        },
        get keys() {
          return batch.keys;
        },
        async join(entries) {
          joins();
          if (joins.mock.calls.length === 2) leaver.abort(new Error("gone"));
          return batch.join(entries);
        },
      };
    },
  };
  const rows: number[] = [];
  const work = {
    decodeRun: (count: number) => void rows.push(count),
    prefill() {},
    visionBatch() {},
  };
  const budgets = { maxSteps: 1 };
  const crowd = createEngine([leavingWriter], createFeatureStore(1 << 20), { work, budgets });
  const events = { onStore() {}, onVisionPass() {} };
  const long = (imageId: string): GenerateJob => ({
    ...caption(withPixels),
    imageId,
    generation: resolveGeneration({ max_new_tokens: 8, min_new_tokens: 8 }),
  });
  const stays = crowd.run(long("stays"), never, events);
  const leaves = crowd.run(long("leaves"), leaver.signal, events);
  await expect(leaves).rejects.toThrow("gone");
  expect(await stays).toMatchObject({ kind: "generate" });
  expect(joins).toHaveBeenCalledTimes(2);
  expect(new Set(rows)).toEqual(new Set([1]));
});
