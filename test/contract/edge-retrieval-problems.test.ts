// Matching, classifying and embedding when something is wrong: every problem that the routes declare, but
// `forbidden`, which no key can meet yet, and `canceled`, whose caller is no longer there to read it.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { AppError, type ProblemCode } from "@blip2-edge/shared/problem";
import { routes } from "@blip2-edge/shared/routes";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { fakeModel, fakeRetrieval } from "../support/fake-node.ts";
import * as pictures from "../support/pictures.ts";

let edge: Edge;
let origin: http.Server;
let originHost: string;
let picture: Buffer;
let seed = 8000;

beforeAll(async () => {
  origin = http.createServer((request, response) => {
    if (request.url === "/404") return void response.writeHead(404).end();
    response.writeHead(200, request.url === "/large" ? { "content-length": "30000000" } : {});
    // And then nothing more comes.
    response.write("x");
  });
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  originHost = `127.0.0.1:${(origin.address() as AddressInfo).port}`;
  edge = await startEdge({
    allowFetch: [originHost],
    vars: {
      BODY_TIMEOUT_MS: "500",
      FETCH_TIMEOUT_MS: "500",
      REQUEST_TIMEOUT_MS: "2000",
      NODE_ATTEMPT_WAIT_MS: "20",
      CATALOG_TTL_MS: "0",
    },
  });
});
afterAll(async () => {
  await edge?.stop();
  origin.closeAllConnections();
  origin.close();
});
beforeEach(async () => {
  picture = await pictures.jpeg(++seed);
});

/** What each route is asked in these tests, besides the picture. */
const requests = {
  match: { texts: ["a dog"] },
  classify: { labels: ["dog", "cat"] },
  embed: {},
} as const;
type Retrieval = keyof typeof requests;
const everyRoute = Object.keys(requests) as Retrieval[];
/** The problems that have been seen, for the last test. */
const seen: Record<Retrieval, Set<ProblemCode>> = {
  match: new Set(),
  classify: new Set(),
  embed: new Set(),
};

async function expectIt(response: Response, code: ProblemCode, route: Retrieval) {
  const problem = await expectProblem(response, code, route);
  seen[route].add(code);
  return problem;
}

describe.each(everyRoute)("%s", (route) => {
  const { path } = routes[route];
  const request = requests[route];
  const upload = (more: object = {}, file = picture) =>
    edge.upload(path, file, { ...request, ...more });
  const json = (more: object) => edge.json(path, { ...request, ...more });

  test("401: no key", async () => {
    const response = await edge.call(path, { method: "POST", key: null });
    await expectIt(response, "unauthorized", route);
  });

  test("404: a model that there is not, a picture that nobody sent, nothing that can do it", async () => {
    await expectIt(await upload({ model: "other" }), "model_not_found", route);
    const image = { image_id: `img_${"0".repeat(64)}` };
    await expectIt(await json({ image }), "image_not_found", route);
    edge.node.catalog = { models: [fakeModel] };
    const problem = await expectIt(await upload(), "model_not_found", route);
    edge.node.catalog = { models: [fakeModel, fakeRetrieval] };
    const ability = route === "embed" ? "embed" : "match";
    expect(problem.detail).toContain(`No model here can do ${ability}.`);
  });

  test("400: a model that cannot do it, with those that can", async () => {
    const problem = await expectIt(await upload({ model: "fake" }), "invalid_request", route);
    expect(problem.errors).toMatchObject([{ field: "model" }]);
    expect(problem.detail).toContain("fake-itm can");
  });

  test("400: an unknown field, by its name, and no node is asked", async () => {
    const before = edge.node.inferences();
    const problem = await expectIt(await upload({ modl: "x" }), "invalid_request", route);
    expect(problem.errors).toEqual([
      { field: "modl", message: "is an unknown field (did you mean `model`?)" },
    ]);
    expect(edge.node.inferences()).toBe(before);
  });

  test("400: more than one picture, an empty one", async () => {
    const image = { base64: picture.toString("base64") };
    await expectIt(await upload({ image }), "image_ambiguous", route);
    await expectIt(await json({ image: {} }), "image_required", route);
  });

  test.each([
    ["image_not_recognised", () => pictures.html],
    ["image_type_unsupported", () => pictures.animatedGif],
    ["image_too_large", pictures.hugeJpeg],
    ["image_corrupt", pictures.truncatedJpeg],
  ] as const)("a picture that is refused: %s", async (code, make) => {
    await expectIt(await upload({}, Buffer.from(await make())), code, route);
  });

  test.each([
    ["fetch_failed", "/404"],
    ["fetch_timeout", "/drip"],
    ["fetch_too_large", "/large"],
  ] as const)("a URL that gives no picture: %s", async (code, at) => {
    await expectIt(await json({ image: { url: `http://${originHost}${at}` } }), code, route);
  });

  test("a URL that may not be fetched", async () => {
    await expectIt(await json({ image: { url: "http://127.0.0.1/" } }), "url_refused", route);
  });

  test("408, 413, 415: a body that does not come, is too large, is of another type", async () => {
    const headers = { "content-type": "application/json" };
    const slow = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("{"));
      },
    });
    const stalled = await edge.call(path, { method: "POST", headers, body: slow, duplex: "half" });
    await expectIt(stalled, "request_timeout", route);
    await expectIt(await upload({}, Buffer.alloc(11_000_000, 1)), "body_too_large", route);
    const text = { "content-type": "text/plain" };
    const other = await edge.call(path, { method: "POST", headers: text, body: "{}" });
    await expectIt(other, "unsupported_media_type", route);
  });

  test("410: pixels of another size alone are stored", async () => {
    const caption = await edge.upload("/v1/caption", picture);
    const { image_id } = (await caption.json()) as { image_id: string };
    await expectIt(await json({ image: { image_id } }), "image_pixels_gone", route);
  });

  test("428 at the node: it gets the pixels again, from the upload or from the store", async () => {
    const first = await upload();
    const { image_id } = (await first.json()) as { image_id: string };
    const asked = route === "embed" ? edge.node.askedToEmbed : edge.node.askedToMatch;
    const other = {
      match: { texts: ["b"] },
      classify: { labels: ["b"] },
      embed: { features: "query" },
    };
    edge.node.forgetPixels();
    const byId = await json({ image: { image_id }, ...other[route] });
    expect(byId.status).toBe(200);
    expect(asked.slice(-2).map(({ withPixels }) => withPixels)).toEqual([false, true]);
  });

  test("a connection that breaks is tried once more, no more", async () => {
    edge.node.failNext({ kind: "drop" });
    expect((await upload()).status).toBe(200);
    expect(edge.lastEvent()).toMatchObject({ node_attempts: 2 });
    picture = await pictures.jpeg(++seed);
    edge.node.failNext({ kind: "drop" }, { kind: "drop" });
    await expectIt(await upload(), "node_unavailable", route);
  });

  test.each(["overloaded", "share_exceeded", "engine_restarted", "deadline_exceeded"] as const)(
    "the node's %s, without its words",
    async (code) => {
      const error = new AppError(code, "10.0.0.7 is down", { retryAfterS: 7 });
      edge.node.failNext({ kind: "problem", error });
      const response = await upload();
      expect(response.headers.get("retry-after")).toBe("7");
      const problem = await expectIt(response, code, route);
      expect(problem.detail).not.toContain("10.0.0.7");
    },
  );

  test("a request that stopped the node's engine twice", async () => {
    const error = new AppError("poison_request", "10.0.0.7 has seen it twice");
    edge.node.failNext({ kind: "problem", error });
    const problem = await expectIt(await upload(), "poison_request", route);
    expect(problem.detail).not.toContain("10.0.0.7");
  });

  test("a text that the model has no room for, in the node's words", async () => {
    const detail = "The text has 700 tokens; 512 fit.";
    edge.node.failNext({ kind: "problem", error: new AppError("prompt_too_long", detail) });
    const problem = await expectIt(await upload(), "prompt_too_long", route);
    expect(problem.detail).toBe(detail);
  });

  test("a model that is being replaced under the request, twice", async () => {
    const error = new AppError("revision_mismatch", "");
    edge.node.failNext({ kind: "problem", error }, { kind: "problem", error });
    const response = await upload();
    expect(response.headers.get("retry-after")).toBe("2");
    await expectIt(response, "not_ready", route);
  });

  test("an answer that is not understood, and nothing of it is kept", async () => {
    const told = { ...fakeRetrieval, image_id: `img_${"0".repeat(64)}`, vision_passes: 0 };
    for (const body of [
      { hello: 1 },
      { ...told, matches: [], embeddings: [] },
      { ...told, matches: [{ itm: 0.5 }, { itm: 0.5 }], embeddings: [{ dims: [1, 1], data: "" }] },
      { ...told, matches: [{ itc: null }], embeddings: [{ dims: [8], data: "?" }] },
    ]) {
      edge.node.failNext({ kind: "json", body });
      await expectIt(await upload(), "node_protocol", route);
    }
    expect((await upload()).headers.get("cache-status")).toBe("blip2-edge; fwd=miss; stored");
  });
});

describe("400, and no node is asked", () => {
  const long = "x".repeat(2001);
  const many = Array.from({ length: 65 }, (_, index) => `${index}`);
  test.each([
    ["match", {}, "`texts` is missing."],
    ["match", { texts: "a" }, "`texts` must be a list."],
    ["match", { texts: [] }, "`texts` must have at least 1 entries."],
    ["match", { texts: many }, "`texts` must have at most 64 entries."],
    ["match", { texts: ["a", " "] }, "`texts[1]` is empty."],
    ["match", { texts: [long] }, "`texts[0]` must have at most 2,000 characters."],
    ["match", { texts: ["a"], scores: [] }, "`scores` must have at least 1 entries."],
    ["match", { texts: ["a"], scores: ["itm", "itm"] }, "`scores` names a score twice."],
    ["match", { texts: ["a"], scores: ["cosine"] }, "`scores[0]` must be itm or itc."],
    ["match", { text: "a", texts: ["a"] }, "`text` is an unknown field (did you mean `texts`?)."],
    ["classify", {}, "`labels` is missing."],
    ["classify", { labels: [] }, "`labels` must have at least 1 entries."],
    ["classify", { labels: many }, "`labels` must have at most 64 entries."],
    ["classify", { labels: ["a", "b", "a"] }, "`labels` names a label twice."],
    ["classify", { labels: [""] }, "`labels[0]` is empty."],
    ["classify", { labels: ["a"], template: "a" }, "`template` must contain {} exactly once."],
    ["classify", { labels: ["a"], template: "{} {}" }, "`template` must contain {} exactly once."],
    ["classify", { labels: ["a"], scores: ["itm"] }, "`scores` is an unknown field."],
    ["embed", { features: "raw" }, "`features` must be projected or query."],
    ["embed", { text: "a" }, "`text` or `image` must be given, and only one of them."],
  ] as const)("%s %j", async (route, request, detail) => {
    const before = edge.node.inferences();
    const response = await edge.upload(routes[route].path, picture, request);
    expect((await expectIt(response, "invalid_request", route)).detail).toBe(detail);
    expect(edge.node.inferences()).toBe(before);
  });

  test.each([
    [{}, "`text` or `image` must be given, and only one of them."],
    [{ text: "" }, "`text` is empty."],
    [{ text: ["a"] }, "`text` must be a text."],
    [{ text: long }, "`text` must have at most 2,000 characters."],
    [{ text: "a", texts: ["b"] }, "`texts` is an unknown field (did you mean `text`?)."],
    [{ text: "a", model: "fake" }, "`model` names one that cannot do embed; fake-itm can."],
  ])("embed, a text: %j", async (request, detail) => {
    const before = edge.node.inferences();
    const response = await edge.json("/v1/embed", request);
    expect((await expectIt(response, "invalid_request", "embed")).detail).toBe(detail);
    expect(edge.node.inferences()).toBe(before);
  });

  test("match and classify without a picture", async () => {
    for (const route of ["match", "classify"] as const) {
      const response = await edge.json(routes[route].path, requests[route]);
      await expectIt(response, "image_required", route);
    }
  });
});

test("embedding a text: a node that fails, one that asks for pixels, one that is being replaced", async () => {
  const ask = () => edge.json("/v1/embed", { text: `text ${seed}` });
  edge.node.failNext({ kind: "drop" }, { kind: "drop" });
  await expectIt(await ask(), "node_unavailable", "embed");
  for (const [said, told] of [
    ["pixels_required", "node_protocol"],
    ["overloaded", "overloaded"],
  ] as const) {
    edge.node.failNext({ kind: "problem", error: new AppError(said, "") });
    await expectIt(await ask(), told, "embed");
  }
  const mismatch = { kind: "problem", error: new AppError("revision_mismatch", "") } as const;
  edge.node.failNext(mismatch);
  expect((await ask()).status).toBe(200);
  expect(edge.lastEvent()).toMatchObject({ catalog_refreshed: true });
});

test.each(everyRoute)("every problem that %s declares was seen", (route) => {
  const unseen = routes[route].problems.filter((code) => !seen[route].has(code));
  // What a key may not do or spend is shown in edge-keys and edge-quotas.
  const ofKeys = ["rate_limited", "quota_exceeded", "concurrency_exceeded", "meter_unavailable"];
  expect(unseen).toEqual(["forbidden", ...ofKeys, "canceled"]);
});
