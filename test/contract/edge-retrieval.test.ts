// Matching, classifying and embedding at the Worker: what is answered, what is computed once, and whose it is.
import { classifyResponseSchema } from "@blip2-edge/shared/contracts/classify";
import { embedResponseSchema } from "@blip2-edge/shared/contracts/embed";
import { matchResponseSchema } from "@blip2-edge/shared/contracts/match";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { costOf, expectProblem, hit, miss, startEdge, type Edge } from "../support/edge.ts";
import {
  fakeDim,
  fakeQueries,
  fakeScore,
  fakeTokens,
  fakeVectors,
} from "../support/fake-answers.ts";
import { fakeModel, fakeRetrieval } from "../support/fake-node.ts";
import { png, pngOtherBytes } from "../support/pictures.ts";

let edge: Edge;
let picture: Buffer;
let seed = 7000;
/** Path → the file there, on the public internet, for everyone to keep. */
const files = new Map<string, Buffer>();
let fetches = 0;

beforeAll(async () => {
  edge = await startEdge({
    vars: { CATALOG_TTL_MS: "200" },
    internet: (request) => {
      fetches += 1;
      const file = files.get(new URL(request.url).pathname);
      if (file === undefined) return new Response("nothing here", { status: 404 });
      return new Response(new Uint8Array(file), { headers: { "cache-control": "public" } });
    },
  });
});
afterAll(() => edge?.stop());
beforeEach(async () => {
  picture = await png(++seed);
});

const cost = (ask: () => Promise<Response>) => costOf(edge, ask);
const askedToMatch = () => edge.node.askedToMatch.at(-1);
const askedToEmbed = () => edge.node.askedToEmbed.at(-1);
const about = { model: "fake-itm", model_revision: fakeRetrieval.model_revision };
const rows = (values: Float32Array, dim: number): number[][] =>
  Array.from({ length: values.length / dim }, (_, row) => [
    ...values.subarray(row * dim, (row + 1) * dim),
  ]);

describe("match", () => {
  test("every text with both scores, in the order of the texts, by multipart and by JSON", async () => {
    const texts = ["a dog", "zwei Katzen im Café", "a dog"];
    const first = await cost(() => edge.upload("/v1/match", picture, { texts }));
    // A text that is given twice is scored once.
    expect(first).toMatchObject({ ...miss, cost: 4 });
    expect(first.response.headers.get("cache-control")).toBe("no-store");
    const digest = edge.node.lastPicture();
    const body = matchResponseSchema.parse(first.body);
    expect(first.body).toEqual(body);
    expect(body).toEqual({
      matches: texts.map((text) => ({
        text,
        itm: fakeScore(digest, text, "itm"),
        itc: fakeScore(digest, text, "itc"),
      })),
      image_id: body.image_id,
      ...about,
    });
    expect(askedToMatch()).toMatchObject({
      withPixels: true,
      request: { ...about, image: { image_id: body.image_id, size: 48 }, texts: texts.slice(0, 2) },
    });
    const image = { base64: picture.toString("base64") };
    const json = await cost(() => edge.json("/v1/match", { image, texts }));
    expect(json).toMatchObject(hit);
    expect(json.body).toEqual(first.body);
    expect(json.response.headers.get("etag")).toBe(first.response.headers.get("etag"));
  });

  test("only the scores that are asked for", async () => {
    const ask = (scores: string[]) =>
      edge.upload("/v1/match", picture, { texts: ["a"], scores, model: "fake-itm" });
    const itc = await cost(() => ask(["itc"]));
    expect(itc).toMatchObject(miss);
    const value = fakeScore(edge.node.lastPicture(), "a", "itc");
    expect(itc.body).toMatchObject({ matches: [{ text: "a", itc: value }] });
    expect(JSON.stringify(itc.body)).not.toContain('"itm"');
    expect(askedToMatch()?.request.scores).toEqual(["itc"]);
    // The other score is an inference of its own, the one there is is not made again.
    const both = await cost(() => ask(["itc", "itm"]));
    expect(both).toMatchObject({ cost: 1, status: "blip2-edge; fwd=partial; stored" });
    expect(askedToMatch()).toMatchObject({ withPixels: false, request: { scores: ["itm"] } });
    expect(await cost(() => ask(["itm"]))).toMatchObject(hit);
  });

  test("each text by itself: with one more a node is asked for the missing one only", async () => {
    const ask = (...texts: string[]) => edge.upload("/v1/match", picture, { texts });
    await ask("a", "b");
    const more = await cost(() => ask("b", "c", "a"));
    expect(more).toMatchObject({ cost: 2, status: "blip2-edge; fwd=partial; stored" });
    expect(askedToMatch()?.request.texts).toEqual(["c"]);
    expect(await cost(() => ask("c"))).toMatchObject(hit);
  });

  test("texts that lack different scores take a call each kind, and nothing is computed twice", async () => {
    const ask = (texts: string[], scores?: string[]) =>
      edge.upload("/v1/match", picture, { texts, scores });
    await ask(["has itm", "too"], ["itm"]);
    await ask(["has itc"], ["itc"]);
    const before = edge.node.askedToMatch.length;
    const all = await cost(() => ask(["new", "has itm", "has itc", "too"]));
    expect(all.cost).toBe(2 + 1 + 1 + 1);
    const digest = edge.node.lastPicture();
    const requests = edge.node.askedToMatch.slice(before).map(({ request }) => request);
    expect(requests.map(({ texts, scores }) => [texts, scores])).toEqual([
      [["new"], ["itm", "itc"]],
      [["has itm", "too"], ["itc"]],
      [["has itc"], ["itm"]],
    ]);
    const { matches } = matchResponseSchema.parse(all.body);
    expect(matches.map(({ itm }) => itm)).toEqual(
      ["new", "has itm", "has itc", "too"].map((text) => fakeScore(digest, text, "itm")),
    );
    expect(edge.lastEvent()).toMatchObject({ node_attempts: 3 });
  });

  test("64 texts of 2,000 characters of any script, which is the most", async () => {
    const texts = Array.from({ length: 64 }, (_, index) => `${index} `.padEnd(2000, "語"));
    const most = await cost(() => edge.upload("/v1/match", picture, { texts, scores: ["itc"] }));
    expect(most).toMatchObject({ ...miss, cost: 64 });
    const escaped = JSON.stringify({
      image: { base64: picture.toString("base64") },
      texts,
      scores: ["itc"],
    }).replaceAll("語", "\\u8a9e");
    expect(await cost(() => edge.json("/v1/match", escaped))).toMatchObject(hit);
  });

  test("a public picture's scores are shared among those who fetched it", async () => {
    files.set("/shared.png", picture);
    const image = { url: "https://pictures.example.com/shared.png" };
    const ask = (key: string) => () => edge.json("/v1/match", { image, texts: ["a"] }, key);
    expect(await cost(ask(edge.ada))).toMatchObject({ ...miss, cost: 2 });
    expect(await cost(ask(edge.bob))).toMatchObject(hit);
  });
});

describe("classify", () => {
  test("a softmax over the cosines by 0.07, the best first, summing to 1", async () => {
    const labels = ["cat", "dog", "red car", "bird"];
    const first = await cost(() => edge.upload("/v1/classify", picture, { labels }));
    expect(first).toMatchObject({ ...miss, cost: 4 });
    expect(askedToMatch()?.request).toMatchObject({
      texts: ["a cat", "a dog", "a red car", "a bird"],
      scores: ["itc"],
    });
    const digest = edge.node.lastPicture();
    const body = classifyResponseSchema.parse(first.body);
    expect(first.body).toEqual(body);
    expect(body).toMatchObject(about);
    const exponential = (label: string) => Math.exp(fakeScore(digest, `a ${label}`, "itc") / 0.07);
    const sum = labels.reduce((total, label) => total + exponential(label), 0);
    expect(body.labels.map(({ label }) => label).toSorted()).toEqual(labels.toSorted());
    for (const { label, score, itc } of body.labels) {
      expect(itc).toBe(fakeScore(digest, `a ${label}`, "itc"));
      expect(score).toBeCloseTo(exponential(label) / sum, 12);
    }
    const scores = body.labels.map(({ score }) => score);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    expect(scores.reduce((total, score) => total + score, 0)).toBeCloseTo(1, 12);
    const image = { base64: picture.toString("base64") };
    const json = await cost(() => edge.json("/v1/classify", { image, labels }));
    expect(json).toMatchObject(hit);
    expect(json.body).toEqual(first.body);
  });

  test("one label has all of it; a template of the caller's own; what matching knows already", async () => {
    const ask = () =>
      edge.upload("/v1/classify", picture, { labels: ["$& dog"], template: "a photo of {}!" });
    const one = await cost(ask);
    expect(one).toMatchObject(miss);
    expect(one.body).toMatchObject({ labels: [{ label: "$& dog", score: 1 }] });
    expect(askedToMatch()?.request.texts).toEqual(["a photo of $& dog!"]);
    const texts = ["a cat", "a dog"];
    await edge.upload("/v1/match", picture, { texts, scores: ["itc"] });
    const known = () => edge.upload("/v1/classify", picture, { labels: ["dog", "cat"] });
    expect(await cost(known)).toMatchObject(hit);
  });
});

describe("embed", () => {
  test.each(["projected", "query"] as const)(
    "a picture's %s vectors, to the last bit",
    async (features) => {
      const ask = () => edge.upload("/v1/embed", picture, { features });
      const first = await cost(ask);
      expect(first).toMatchObject(miss);
      const dim = fakeDim[features];
      const vectors = fakeVectors(edge.node.lastPicture(), features, fakeQueries);
      const body = embedResponseSchema.parse(first.body);
      expect(first.body).toEqual(body);
      expect(body).toEqual({
        embedding: rows(vectors, dim),
        dim,
        image_id: body.image_id,
        ...about,
      });
      expect(askedToEmbed()).toMatchObject({ withPixels: true, request: { ...about, features } });
      const image = { base64: (await pngOtherBytes(seed)).toString("base64") };
      const again = await cost(() => edge.json("/v1/embed", { image, features }));
      expect(again).toMatchObject(hit);
      expect(again.body).toEqual(first.body);
      expect(again.response.headers.get("etag")).toBe(first.response.headers.get("etag"));
    },
  );

  test("projected is the default; the other kind is an inference of its own", async () => {
    expect(await cost(() => edge.upload("/v1/embed", picture))).toMatchObject(miss);
    const { image_id } = (await (await edge.upload("/v1/embed", picture)).json()) as {
      image_id: string;
    };
    const byId = (features: string) => () =>
      edge.json("/v1/embed", { image: { image_id }, features });
    expect(await cost(byId("projected"))).toMatchObject(hit);
    expect(await cost(byId("query"))).toMatchObject(miss);
  });

  test("a text: one vector projected, one for each token as it is", async () => {
    const text = `a red cube ${seed}`;
    const projected = await cost(() => edge.json("/v1/embed", { text }));
    expect(projected).toMatchObject(miss);
    expect(embedResponseSchema.parse(projected.body)).toEqual(projected.body);
    expect(projected.body).toEqual({
      embedding: [...fakeVectors(text, "projected", 1)],
      dim: fakeDim.projected,
      ...about,
    });
    expect(Object.keys(askedToEmbed()?.request ?? {})).toEqual(
      expect.not.arrayContaining(["partition", "image"]),
    );
    const query = await cost(() => edge.json("/v1/embed", { text, features: "query" }));
    expect(query).toMatchObject(miss);
    expect(query.body).toEqual({
      embedding: rows(fakeVectors(text, "query", fakeTokens(text)), fakeDim.query),
      dim: fakeDim.query,
      ...about,
    });
    for (const features of ["projected", "query"]) {
      expect(await cost(() => edge.json("/v1/embed", { text, features }))).toMatchObject(hit);
    }
    const form = new FormData();
    form.set("request", JSON.stringify({ text }));
    const multipart = () => edge.call("/v1/embed", { method: "POST", body: form });
    expect(await cost(multipart)).toMatchObject(hit);
  });
});

describe("another tenant", () => {
  const requests = [
    ["match", "/v1/match", { texts: ["a dog"] }, 2],
    ["classify", "/v1/classify", { labels: ["dog", "cat"] }, 2],
    ["embed", "/v1/embed", { features: "query" }, 1],
  ] as const;
  test.each(requests)(
    "%s: an identical upload costs an inference of its own",
    async (_, path, request, price) => {
      const ask = (key: string) => () => edge.upload(path, picture, request, key);
      const adas = await cost(ask(edge.ada));
      expect(adas).toMatchObject({ ...miss, cost: price });
      const bobs = await cost(ask(edge.bob));
      expect(bobs).toMatchObject({ ...miss, cost: price });
      expect(bobs.body).toEqual(adas.body);
      expect(await cost(ask(edge.bob))).toMatchObject(hit);
      const asked = path === "/v1/embed" ? edge.node.askedToEmbed : edge.node.askedToMatch;
      expect(JSON.stringify(asked.slice(-2))).not.toMatch(/ada|bob/);
      // The pixels of each travelled for himself.
      expect(asked.slice(-2)).toMatchObject([{ withPixels: true }, { withPixels: true }]);
    },
  );

  test("a text's vectors are its tenant's", async () => {
    const text = `nobody's business ${seed}`;
    const ask = (key: string) => () => edge.json("/v1/embed", { text }, key);
    expect(await cost(ask(edge.ada))).toMatchObject(miss);
    expect(await cost(ask(edge.bob))).toMatchObject(miss);
    expect(await cost(ask(edge.bob))).toMatchObject(hit);
  });

  test.each(requests)(
    "%s by an id that only the other knows: 404",
    async (route, path, request) => {
      const sent = await edge.upload(path, picture, request);
      const { image_id } = (await sent.json()) as { image_id: string };
      const mine = await edge.json(path, { image: { image_id }, ...request });
      expect(mine.status).toBe(200);
      const theirs = await edge.json(path, { image: { image_id }, ...request }, edge.bob);
      await expectProblem(theirs, "image_not_found", route);
    },
  );
});

describe("the model", () => {
  test("is the first that can, and the models say what they can", async () => {
    const list = (await (await edge.call("/v1/models")).json()) as { data: unknown };
    expect(list.data).toMatchObject([
      { id: "fake", abilities: ["caption", "vqa"] },
      { id: "fake-itm", abilities: ["match", "embed"] },
    ]);
    const caption = await edge.upload("/v1/caption", picture);
    expect(await caption.json()).toMatchObject({ model: "fake" });
  });

  test("a new revision: asked for once more, the picture fetched once, the answer its own", async () => {
    files.set("/revision.png", picture);
    const next = { ...fakeRetrieval, model_revision: "e".repeat(16) };
    const image = { url: "https://pictures.example.com/revision.png" };
    await edge.json("/v1/match", { image, texts: ["a"] });
    edge.node.catalog = { models: [fakeModel, next] };
    const before = fetches;
    try {
      const fresh = await cost(() => edge.json("/v1/match", { image, texts: ["b"] }));
      expect(fresh).toMatchObject({ ...miss, cost: 2 });
      expect(fresh.body).toMatchObject({ model_revision: next.model_revision });
      expect(fetches - before).toBe(1);
      const text = `new ${seed}`;
      expect(await cost(() => edge.json("/v1/embed", { text }))).toMatchObject(miss);
    } finally {
      edge.node.catalog = { models: [fakeModel, fakeRetrieval] };
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect(await cost(() => edge.json("/v1/match", { image, texts: ["a"] }))).toMatchObject(hit);
  });
});
