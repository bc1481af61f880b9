// Images as records and search over them, through the Worker in workerd: the index in its Durable Object, the
// pixels in R2, whose is whose, and what is left after deleting.
import {
  imageRecordSchema,
  namespaceInfoSchema,
  type NamespaceInfo,
} from "@blip2-edge/shared/contracts/images";
import { searchResponseSchema, type SearchResponse } from "@blip2-edge/shared/contracts/search";
import { createClient } from "@blip2-edge/shared/client";
import { scopes } from "@blip2-edge/shared/contracts/keys";
import type { RouteId } from "@blip2-edge/shared/routes";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { captionTags } from "../../edge/src/search/caption-tags.ts";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { fakeDim } from "../support/fake-answers.ts";
import { fakeRetrieval } from "../support/fake-node.ts";
import { png } from "../support/pictures.ts";
import { vectorizeStandIn } from "../support/vectorize-stand-in.ts";

let edge: Edge;
const vectorize = vectorizeStandIn(fakeDim.projected);
beforeAll(async () => {
  // Links stay the same for as long as this takes.
  edge = await startEdge({ vars: { CATALOG_TTL_MS: "200", LINK_TTL_S: "604800" }, vectorize });
  for (const [tenant, key] of [
    ["ada", edge.ada],
    ["bob", edge.bob],
  ] as const) {
    await edge.worker.putKey({ key, tenant, name: "test", scopes });
  }
});
afterAll(() => edge?.stop());

let seed = 91_000;
const picture = (): Promise<Buffer> => png(++seed);
const at = (namespace: string, id?: string): string =>
  `/v1/namespaces/${namespace}/images${id === undefined ? "" : `/${id}`}`;

function put(namespace: string, id: string, file: Buffer, request: object = {}, key = edge.ada) {
  const data = new FormData();
  data.set("image", new Blob([new Uint8Array(file)]), "picture");
  data.set("request", JSON.stringify(request));
  return edge.call(at(namespace, id), { method: "PUT", body: data, key });
}
async function record(response: Promise<Response>) {
  const answer = await response;
  const body: unknown = await answer.json();
  expect(answer.status, JSON.stringify(body)).toBe(200);
  expect(body).toEqual(imageRecordSchema.parse(body));
  return imageRecordSchema.parse(body);
}
async function found(request: object, key = edge.ada): Promise<SearchResponse> {
  const answer = await edge.json("/v1/search", request, key);
  const body: unknown = await answer.json();
  expect(answer.status, JSON.stringify(body)).toBe(200);
  expect(body).toEqual(searchResponseSchema.parse(body));
  return searchResponseSchema.parse(body);
}
const idsOf = ({ hits }: SearchResponse): string[] => hits.map(({ id }) => id);
const refused = async (response: Promise<Response>, route: RouteId, field: string) => {
  const { errors } = await expectProblem(await response, "invalid_request", route);
  expect(errors?.map((error) => error.field)).toContain(field);
};

describe("images", () => {
  test("put, read, put again, change, list, delete", async () => {
    const file = await picture();
    const told = { title: "A title", tags: ["x", "y"], metadata: { year: 1999, ok: true } };
    const first = await record(put("crud", "a", file, { ...told, source: "https://x.test/a" }));
    expect(first).toMatchObject({ ...told, id: "a", namespace: "crud", text: null });
    expect(first.caption).toBe(`picture ${edge.node.lastPicture()}`);
    expect(await record(edge.call(at("crud", "a")))).toEqual(first);
    const inferences = edge.node.inferences();
    const again = await record(put("crud", "a", file, { ...told, source: "https://x.test/a" }));
    expect(again).toEqual({ ...first, updated_at: again.updated_at });
    // Nothing was looked at a second time.
    expect(edge.node.inferences()).toBe(inferences);
    expect(await record(put("crud", "b", file, { caption: false }))).toMatchObject({
      ...{ caption: null, duplicate_of: "a", image_id: first.image_id },
    });
    const changed = await edge.call(at("crud", "a"), {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ title: null, tags: ["z"] }),
    });
    expect(await changed.json()).toMatchObject({
      title: null,
      tags: ["z"],
      metadata: told.metadata,
    });
    const page = (await (await edge.call(`${at("crud")}?limit=1`)).json()) as { cursor: string };
    expect(page).toMatchObject({ images: [{ id: "a" }], cursor: "a" });
    const rest = await edge.call(`${at("crud")}?limit=1&cursor=${page.cursor}`);
    expect(await rest.json()).toMatchObject({ images: [{ id: "b" }] });
    expect(await (await edge.call("/v1/namespaces/crud")).json()).toEqual({
      ...{ namespace: "crud", images: 2, pictures: 1 },
      ...{ model: "fake-itm", model_revision: fakeRetrieval.model_revision },
      candidates: {
        ...{ store: "embedded", moving_to: null, waiting: 0, leaving: 0, fault: null },
      },
      keep_originals: false,
    });
    const gone = (id: string) => edge.call(at("crud", id), { method: "DELETE" });
    expect(await (await gone("a")).json()).toMatchObject({ id: "a", picture_deleted: false });
    expect(await (await gone("b")).json()).toMatchObject({ id: "b", picture_deleted: true });
    await expectProblem(await gone("b"), "not_found", "imageDelete");
    await expectProblem(await edge.call(at("crud", "a")), "not_found", "imageRead");
  });

  test("namespaces are listed while they hold something, the newest records first, to their tenant alone", async () => {
    const client = createClient({ url: edge.url, key: edge.ada });
    const names = async (prefix: string, key = edge.ada) => {
      const { namespaces } = await createClient({ url: edge.url, key }).namespaceList({ prefix });
      return namespaces.map(({ namespace }) => namespace);
    };
    const file = await picture();
    for (const id of ["z", "a", "m"]) await record(put("list-1", id, file));
    await record(put("list-2", "a", file));
    // The name is written down behind the answer.
    await expect.poll(() => names("list-")).toEqual(["list-1", "list-2"]);
    expect(await names("list-", edge.bob)).toEqual([]);
    expect(await client.namespaceList({ prefix: "list-", limit: 1 })).toMatchObject({
      cursor: "list-1",
    });
    const { images } = await client.imageList({ namespace: "list-1", order: "newest", limit: 2 });
    expect(images.map(({ id }) => id)).toEqual(["m", "a"]);
    await refused(edge.call(`${at("list-1")}?order=newest&cursor=a`), "imageList", "cursor");
    await refused(edge.call("/v1/namespaces?prefix=List"), "namespaceList", "prefix");
    await edge.call(at("list-2", "a"), { method: "DELETE" });
    expect(await names("list-")).toEqual(["list-1"]);
    await edge.call("/v1/namespaces/list-1", { method: "DELETE" });
    expect(await names("list-")).toEqual([]);
  });

  test("the client puts a file and finds it", async () => {
    const client = createClient({ url: edge.url, key: edge.ada });
    const bytes = await picture();
    await client.imagePut({ namespace: "client", id: "x.png", image: { bytes }, title: "mine" });
    expect(await client.imageRead({ namespace: "client", id: "x.png" })).toMatchObject({
      title: "mine",
    });
    const answer = await client.search({ namespace: "client", image: { bytes } });
    expect(idsOf(answer)).toEqual(["x.png"]);
    expect(answer.hits[0]?.scores.image).toBeCloseTo(1, 1);
  });

  test("a picture is deleted everywhere, and no store names it", async () => {
    const file = await picture();
    for (const namespace of ["one", "two"]) {
      await edge.call(`/v1/namespaces/${namespace}`, {
        ...{ method: "PATCH", headers: { "content-type": "application/json" } },
        body: JSON.stringify({ keep_originals: true }),
      });
    }
    const { image_id: imageId } = await record(put("one", "a", file, { title: "t" }));
    await record(put("two", "a", file));
    const names = async () => (await edge.worker.stored()).filter((name) => name.includes(imageId));
    // Results reach KV behind the answer: the vectors and the caption.
    const results = async () => (await names()).filter((name) => name.startsWith("results/"));
    await expect.poll(results).toHaveLength(2);
    await expect.poll(names).toContainEqual(expect.stringMatching(/^marks\//));
    for (const kind of [/^pixels\//, /^thumbnails\//, /^originals\/t:ada\/one\//]) {
      expect(await names()).toContainEqual(expect.stringMatching(kind));
    }
    await edge.call(at("one", "a"), { method: "DELETE" });
    expect(await names()).not.toContainEqual(expect.stringMatching(/^originals\/t:ada\/one\//));
    // Another namespace of the tenant still holds it.
    expect(idsOf(await found({ namespace: "two", text: "a" }))).toEqual(["a"]);
    const last = await edge.call(at("two", "a"), { method: "DELETE" });
    expect(await last.json()).toMatchObject({ picture_deleted: true });
    expect(await names()).toEqual([]);
    const caption = await edge.json("/v1/caption", { image: { image_id: imageId } });
    await expectProblem(caption, "image_not_found", "caption");
  });

  test("a namespace is deleted with all it holds", async () => {
    for (const id of ["a", "b", "c"]) await record(put("whole", id, await picture()));
    const deleted = await edge.call("/v1/namespaces/whole", { method: "DELETE" });
    expect(await deleted.json()).toEqual({ namespace: "whole", images_deleted: 3, images_left: 0 });
    expect(await found({ namespace: "whole", text: "a" })).toMatchObject({
      ...{ hits: [], no_match: true, model: null },
    });
  });
});

describe("search", () => {
  beforeAll(async () => {
    for (let n = 0; n < 12; n++) {
      const told = { title: n === 3 ? "the harbour at dusk" : `number ${n}`, metadata: { n } };
      await record(put("many", `p${n}`, await picture(), { ...told, tags: n < 4 ? ["few"] : [] }));
    }
  });

  test("every hit has its scores, in their order; what was put is found at once", async () => {
    const answer = await found({ namespace: "many", text: "a lion", top_k: 100 });
    expect(answer).toMatchObject({ no_match: false, min_score: 0, calibrated: false });
    expect(answer).toMatchObject({ namespace: "many", model: "fake-itm" });
    // A score below nothing is shown as nothing, and is no reason to leave a hit out.
    expect(answer.hits).toHaveLength(12);
    const itc = answer.hits.map(({ scores }) => scores.itc ?? NaN);
    expect(itc).toEqual(itc.toSorted((a, b) => b - a));
    expect(new Set(answer.hits.map((hit) => hit.decided_by))).toEqual(new Set(["max_similarity"]));
    const coarse = await found({ namespace: "many", text: "a lion", max_similarity: false });
    expect(coarse.hits[0]).toMatchObject({
      decided_by: "mean",
      scores: { text_mean: expect.any(Number) },
    });
    expect(coarse.hits[0]?.scores.itc).toBeUndefined();
    const one = await found({ namespace: "many", text: "a lion", candidates: 1 });
    expect(one.hits).toHaveLength(1);
    expect(await found({ namespace: "many", text: "a lion", min_score: 1 })).toMatchObject({
      ...{ hits: [], no_match: true, min_score: 1 },
    });
  });

  test("ITM of the first k on a node, and what it cost", async () => {
    const before = edge.node.askedToMatch.length;
    const answer = await found({ namespace: "many", text: "a tiger", rerank: 4, top_k: 12 });
    expect(edge.node.askedToMatch.length - before).toBe(4);
    expect(answer.hits.map((hit) => hit.decided_by)).toEqual([
      ...Array.from({ length: 4 }, () => "itm"),
      ...Array.from({ length: 8 }, () => "max_similarity"),
    ]);
    const itm = answer.hits.slice(0, 4).map(({ scores }) => scores.itm ?? NaN);
    expect(itm).toEqual(itm.toSorted((a, b) => b - a));
    // The node had looked at them when they were put.
    expect(answer.vision_passes).toBe(0);
    edge.node.forgetPixels();
    expect(await found({ namespace: "many", text: "a bear", rerank: 2 })).toMatchObject({
      vision_passes: 2,
    });
  });

  test("words beside vectors: a title with all of them survives any cut-off", async () => {
    const text = "Harbour dusk";
    const answer = await found({ namespace: "many", text, hybrid: true, min_score: 1 });
    expect(idsOf(answer)).toEqual(["p3"]);
    expect(answer.hits[0]).toMatchObject({ decided_by: "fusion", title: "the harbour at dusk" });
    expect(answer.hits[0]?.scores.full_text).toBeGreaterThan(0);
    expect(idsOf(await found({ namespace: "many", text, min_score: 1 }))).toEqual([]);
  });

  test("a text and a picture at once; filters by tag and metadata", async () => {
    const { image_id: imageId } = await record(edge.call(at("many", "p5")));
    const both = await found({ namespace: "many", text: "x", image: { image_id: imageId } });
    expect(both.hits[0]?.decided_by).toBe("fusion");
    expect(Object.keys(both.hits[0]?.scores ?? {}).toSorted()).toEqual([
      ...["image", "image_mean", "itc", "text_mean"],
    ]);
    const filter = { tags: { any: ["few"] }, metadata: { n: { gte: 2 } } };
    expect(idsOf(await found({ namespace: "many", text: "x", filter })).toSorted()).toEqual([
      ...["p2", "p3"],
    ]);
  });

  test("pages by cursor give every hit once; a cursor is good for its query alone", async () => {
    const whole = idsOf(await found({ namespace: "many", text: "a wolf", top_k: 100 }));
    const pages: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await found({ namespace: "many", text: "a wolf", top_k: 5, cursor });
      pages.push(...idsOf(page));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(pages).toEqual(whole);
    const own = (await found({ namespace: "many", text: "a wolf", top_k: 5 })).cursor ?? "";
    const ask = (request: object, key = edge.ada) =>
      edge.json("/v1/search", { namespace: "many", top_k: 5, ...request }, key);
    await refused(ask({ text: "a fox", cursor: own }), "search", "cursor");
    await refused(ask({ text: "a wolf", cursor: `${own.slice(0, -3)}AA=` }), "search", "cursor");
    await refused(ask({ text: "a wolf", cursor: "5" }), "search", "cursor");
    // Nor for the same query of another tenant, or with another filter.
    await record(put("many", "his", await picture(), {}, edge.bob));
    await refused(ask({ text: "a wolf", cursor: own }, edge.bob), "search", "cursor");
    const filter = { tags: { any: ["few"] } };
    await refused(ask({ text: "a wolf", cursor: own, filter }), "search", "cursor");
  });

  test("bad questions, each refused by its field", async () => {
    const ask = (request: object) => edge.json("/v1/search", { namespace: "many", ...request });
    await refused(ask({}), "search", "text");
    await refused(ask({ text: "" }), "search", "text");
    await refused(ask({ text: "   " }), "search", "text");
    await refused(ask({ text: "a".repeat(10_000) }), "search", "text");
    await refused(
      ask({ text: "a", filter: { metadata: { colour: 1 } } }),
      "search",
      "filter.metadata.colour",
    );
    await refused(ask({ text: "a", filter: { size: 1 } }), "search", "filter.size");
    const tags = { some: ["few"] };
    await refused(ask({ text: "a", filter: { tags } }), "search", "filter.tags.some");
    await refused(ask({ text: "a", cursor: "" }), "search", "cursor");
    await refused(put("many", ".hidden", await picture()), "imagePut", "id");
  });

  test("two tenants with the same pictures never see each other's records", async () => {
    const file = await picture();
    await record(put("shared", "mine", file, { title: "secret of ada" }));
    await expectProblem(
      await edge.call(at("shared", "mine"), { key: edge.bob }),
      "not_found",
      "imageRead",
    );
    expect(idsOf(await found({ namespace: "shared", text: "secret" }, edge.bob))).toEqual([]);
    await record(put("shared", "his", file, {}, edge.bob));
    expect(idsOf(await found({ namespace: "shared", text: "secret" }, edge.bob))).toEqual(["his"]);
    expect(idsOf(await found({ namespace: "shared", text: "secret" }))).toEqual(["mine"]);
    // What one deletes the other keeps.
    await edge.call(at("shared", "his"), { method: "DELETE", key: edge.bob });
    const reranked = await found({ namespace: "shared", text: "secret", rerank: true });
    expect(reranked.hits[0]).toMatchObject({ id: "mine", decided_by: "itm" });
  });

  test("tags by models: what the caption names, and labels that are true", async () => {
    const file = await picture();
    const named = await record(put("tagged", "named", file, { tags: ["mine"] }));
    const said = captionTags(named.caption ?? "").map((tag) => ({ tag, from: "caption" }));
    expect(named).toMatchObject({ tags: ["mine"], auto_tags: said });
    const none = await record(put("tagged", "none", file, { auto_tags: false }));
    expect(none.auto_tags).toEqual([]);
    const labels = ["owl", "heron", "badger", "otter"];
    const labelled = { labels, min_score: 0.01 };
    const looks = edge.node.askedToEmbed.filter(({ request }) => "image" in request).length;
    const some = await record(put("tagged", "some", file, { auto_tags: labelled }));
    expect(edge.node.askedToEmbed.at(-1)?.request).toMatchObject({
      texts: labels.map((label) => `a ${label}`),
    });
    // The picture itself was not looked at again.
    expect(edge.node.askedToEmbed.filter(({ request }) => "image" in request)).toHaveLength(looks);
    const { hits } = await found({ namespace: "tagged", text: "a owl", top_k: 1 });
    const cosine = hits[0]?.scores.itc ?? NaN;
    const owl = some.auto_tags?.find(({ tag }) => tag === "owl");
    if (cosine < 0.01) expect(owl).toBeUndefined();
    else expect(owl?.score).toBeCloseTo(cosine, 6);
    const scores = (some.auto_tags ?? []).flatMap(({ score }) => score ?? []);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    for (const { tag } of some.auto_tags ?? []) {
      const filter = { auto_tags: { all: [tag] } };
      expect(idsOf(await found({ namespace: "tagged", text: "x", filter }))).toContain("some");
    }
    // Without a cut-off, and nobody has measured one.
    await refused(
      put("tagged", "bad", file, { auto_tags: { labels } }),
      "imagePut",
      "auto_tags.min_score",
    );
    await refused(
      put("tagged", "bad", file, { auto_tags: { labels: ["a", "a"] } }),
      "imagePut",
      "auto_tags.labels",
    );
  });

  test("what a node has measured makes scores probabilities, and cuts off by default", async () => {
    await record(put("measured", "a", await picture()));
    const { catalog } = edge.node;
    const curve = { slope: 2, intercept: 0.5, min_score: 0.999 };
    const calibration = { pictures: 9, itc: curve, label: { ...curve, min_score: 0 } };
    edge.node.catalog = {
      models: catalog.models.map((model) =>
        model.model === "fake-itm" ? { ...model, calibration } : model,
      ),
    };
    try {
      const ask = (request: object = {}) =>
        found({ namespace: "measured", text: "a bear", ...request });
      await expect.poll(async () => (await ask()).calibrated, { timeout: 10_000 }).toBe(true);
      expect(await ask()).toMatchObject({ hits: [], no_match: true, min_score: 0.999 });
      const { hits } = await ask({ min_score: 0 });
      const cosine = hits[0]?.scores.itc ?? NaN;
      // Measured among nine, asked of one.
      const odds = 2 * cosine + 0.5 + 0.5 * Math.log(9);
      expect(hits[0]?.score).toBeCloseTo(1 / (1 + Math.exp(-odds)), 6);
      // A stage that was not measured keeps its score.
      expect(await ask({ max_similarity: false })).toMatchObject({ calibrated: false });
      const auto_tags = { labels: ["bear"] };
      const tagged = await record(put("measured", "b", await picture(), { auto_tags }));
      expect(tagged.auto_tags?.find(({ from }) => from === "label")?.score).toBeGreaterThan(0);
    } finally {
      edge.node.catalog = catalog;
      const ask = async () => (await found({ namespace: "measured", text: "c" })).calibrated;
      await expect.poll(ask, { timeout: 10_000 }).toBe(false);
    }
  });

  test("an index of another revision is refused, with the way to make it anew", async () => {
    await record(put("aged", "a", await picture()));
    const { catalog } = edge.node;
    edge.node.catalog = {
      models: catalog.models.map((model) =>
        model.model === "fake-itm" ? { ...model, model_revision: "aaaaaaaaaaaaaaaa" } : model,
      ),
    };
    try {
      const ask = async () =>
        (await edge.json("/v1/search", { namespace: "aged", text: "b" })).status;
      await expect.poll(ask, { timeout: 10_000 }).toBe(409);
      const search = await edge.json("/v1/search", { namespace: "aged", text: "b" });
      const { detail } = await expectProblem(search, "index_outdated", "search");
      expect(detail).toContain("DELETE /v1/namespaces/aged");
      const marks = () => edge.worker.files("PIXELS", "held/");
      const before = await marks();
      await expectProblem(await put("aged", "b", await picture()), "index_outdated", "imagePut");
      expect(await marks()).toEqual(before);
      await edge.call("/v1/namespaces/aged", { method: "DELETE" });
      await record(put("aged", "b", await picture()));
      expect(idsOf(await found({ namespace: "aged", text: "b" }))).toEqual(["b"]);
    } finally {
      edge.node.catalog = catalog;
    }
  });
});

describe("candidates in Vectorize", () => {
  const told = async (answer: Promise<Response>): Promise<NamespaceInfo["candidates"]> =>
    namespaceInfoSchema.parse(await (await answer).json()).candidates;
  const candidates = (key = edge.ada) => told(edge.call("/v1/namespaces/moved", { key }));
  const move = (to: string, key = edge.ada) =>
    edge.call("/v1/namespaces/moved", {
      ...{ method: "PATCH", key, body: JSON.stringify({ candidates: to }) },
      headers: { "content-type": "application/json" },
    });

  test("a namespace moves there and back; what is deleted is in no store", async () => {
    const files = await Promise.all([picture(), picture(), picture()]);
    for (const [at, file] of files.entries()) await record(put("moved", `p${at}`, file));
    const ask = { namespace: "moved", text: "a whale" };
    const embedded = await found(ask);
    expect(await told(move("vectorize"))).toMatchObject({ waiting: 3 });
    // Nothing is processed there yet, and nothing is missing.
    expect(await found(ask)).toEqual(embedded);
    vectorize.immediate = true;
    vectorize.process();
    await expect
      .poll(() => candidates(), { timeout: 20_000 })
      .toEqual({
        ...{ store: "vectorize", moving_to: null, waiting: 0, leaving: 0, fault: null },
      });
    const { query } = vectorize.calls;
    expect(await found(ask)).toEqual(embedded);
    expect(vectorize.calls.query).toBe(query + 4);
    // The other tenant's namespace of the same name is another one.
    expect(await candidates(edge.bob)).toMatchObject({ store: "embedded", waiting: 0 });
    await record(put("moved", "new", await picture()));
    expect(idsOf(await found(ask))).toContain("new");
    await edge.call(at("moved", "new"), { method: "DELETE" });
    await edge.call(at("moved", "p0"), { method: "DELETE" });
    expect(idsOf(await found(ask)).toSorted()).toEqual(["p1", "p2"]);
    await expect.poll(() => vectorize.ids(), { timeout: 20_000 }).toHaveLength(2);

    expect(await told(move("embedded"))).toMatchObject({ store: "embedded", moving_to: null });
    expect(idsOf(await found(ask)).toSorted()).toEqual(["p1", "p2"]);
    await expect.poll(() => vectorize.ids(), { timeout: 20_000 }).toEqual([]);
    await expectProblem(await move("elsewhere"), "invalid_request", "namespaceUpdate");
  });
});
