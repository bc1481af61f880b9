// What is computed once and what is not: by what the picture is, inside a tenant's own partition.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fakeModel } from "../support/fake-node.ts";
import { costOf, expectProblem, hit, miss, startEdge, type Edge } from "../support/edge.ts";
import { jpeg, png, pngOtherBytes } from "../support/pictures.ts";

let edge: Edge;
let origin: http.Server;
let originHost: string;
/** Path → the file there. */
const files = new Map<string, Buffer>();
/** Path → what the public internet says of the file there. */
const publicHeaders = new Map<string, Record<string, string>>();

beforeAll(async () => {
  origin = http.createServer((request, response) => {
    const file = files.get(request.url ?? "");
    // It may change at any time; what is believed for how long is in edge-addresses.test.ts.
    response.writeHead(file === undefined ? 404 : 200, { "cache-control": "public, max-age=0" });
    response.end(file);
  });
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  originHost = `127.0.0.1:${(origin.address() as AddressInfo).port}`;
  edge = await startEdge({
    allowFetch: [originHost],
    vars: { KEY_TTL_MS: "0", CATALOG_TTL_MS: "300" },
    internet: (request) => {
      const { pathname, hostname } = new URL(request.url);
      const file = files.get(pathname);
      if (hostname !== "pictures.example.com" || file === undefined) {
        return new Response("nothing here", { status: 404 });
      }
      return new Response(new Uint8Array(file), { headers: publicHeaders.get(pathname) ?? {} });
    },
  });
});
afterAll(async () => {
  await edge?.stop();
  origin.close();
});

let seed = 1000;
beforeEach(() => {
  seed += 1;
});

const cost = (ask: () => Promise<Response>) => costOf(edge, ask);

describe("the same tenant", () => {
  test("the same request again, as other bytes, as base64, from two URLs, by its id", async () => {
    const file = await png(seed);
    const first = await cost(() => edge.upload("/v1/caption", file));
    expect(first).toMatchObject(miss);
    files.set("/a.png", file).set("/b.png", file);
    const { image_id } = first.body as { image_id: string };
    const again: (() => Promise<Response>)[] = [
      () => edge.upload("/v1/caption", file),
      async () => edge.upload("/v1/caption", await pngOtherBytes(seed)),
      () => edge.json("/v1/caption", { image: { base64: file.toString("base64") } }),
      () => edge.json("/v1/caption", { image: { url: `http://${originHost}/a.png` } }),
      () => edge.json("/v1/caption", { image: { url: `http://${originHost}/b.png` } }),
      () => edge.json("/v1/caption", { image: { image_id } }),
      () => edge.upload("/v1/caption", file, { max_new_tokens: 20, model: "fake" }),
    ];
    for (const ask of again) {
      const result = await cost(ask);
      expect(result).toMatchObject(hit);
      expect(result.body).toEqual(first.body);
      expect(result.response.headers.get("etag")).toBe(first.response.headers.get("etag"));
    }
  });

  test("another prompt, another parameter, another picture: each an inference", async () => {
    const file = await png(seed);
    await edge.upload("/v1/caption", file);
    for (const options of [{ prompt: "a" }, { max_new_tokens: 5 }, { repetition_penalty: 1.5 }]) {
      expect(await cost(() => edge.upload("/v1/caption", file, options))).toMatchObject(miss);
      expect(await cost(() => edge.upload("/v1/caption", file, options))).toMatchObject(hit);
    }
    const other = await jpeg(seed + 500_000);
    expect(await cost(() => edge.upload("/v1/caption", other))).toMatchObject(miss);
  });

  test("a sample with a seed is kept; one without never is, and the answer says so", async () => {
    const file = await png(seed);
    const drawn = { cost: 1, status: "blip2-edge; fwd=bypass; detail=unseeded-sample" };
    const sample = (more: object) => () =>
      edge.upload("/v1/caption", file, { do_sample: true, ...more });
    expect(await cost(sample({ seed: 1 }))).toMatchObject(miss);
    expect(await cost(sample({ seed: 1 }))).toMatchObject(hit);
    expect(await cost(sample({ seed: 2 }))).toMatchObject(miss);
    expect(await cost(sample({}))).toMatchObject(drawn);
    expect(await cost(sample({}))).toMatchObject(drawn);
    // Two draws are two, though the question is one.
    const questions = ["a?", "a?"];
    const twice = await cost(() => edge.upload("/v1/vqa", file, { do_sample: true, questions }));
    expect(twice).toMatchObject({ ...drawn, cost: 2 });
  });

  test("what changes nothing is the same result, with a note", async () => {
    const file = await png(seed);
    const plain = await cost(() => edge.upload("/v1/caption", file));
    expect(plain).toMatchObject(miss);
    const noted = await cost(() => edge.upload("/v1/caption", file, { top_p: 0.9 }));
    expect(noted).toMatchObject(hit);
    expect(noted.body).toEqual({
      ...(plain.body as object),
      notes: ["`top_p` changed nothing: it is for do_sample."],
    });
  });

  test("several sequences come from the cache as they came from the node", async () => {
    const file = await png(seed);
    const options = { num_beams: 3, num_return_sequences: 2, min_length: 9, seed: 4 };
    const first = await cost(() => edge.upload("/v1/caption", file, options));
    expect(first).toMatchObject(miss);
    const { text } = first.body as { text: string };
    expect(first.body).toMatchObject({
      log_prob: -0.25,
      sequences: [
        { text, log_prob: -0.25, finish_reason: "stop" },
        { text: `${text} 1`, log_prob: -0.5, finish_reason: "stop" },
      ],
      notes: ["`seed` changed nothing: it is for do_sample.", "the node's note"],
      usage: { completion_tokens: 6 },
    });
    expect(JSON.stringify(first.body)).not.toContain("token_ids");
    const again = await cost(() => edge.upload("/v1/caption", file, options));
    expect(again).toMatchObject(hit);
    expect(again.response.headers.get("etag")).toBe(first.response.headers.get("etag"));
    const answers = await cost(() =>
      edge.upload("/v1/vqa", file, { questions: ["a?"], num_beams: 2, num_return_sequences: 2 }),
    );
    expect(answers.body).toMatchObject({ answers: [{ sequences: [{}, {}] }] });
  });

  test("each question by itself: a node is asked for the missing ones only", async () => {
    const file = await png(seed);
    const ask = (questions: string[]) => () => edge.upload("/v1/vqa", file, { questions });
    expect(await cost(ask(["a?", "b?"]))).toMatchObject({ ...miss, cost: 2 });
    const partial = await cost(ask(["b?", "c?", "a?", "c?"]));
    expect(partial).toMatchObject({ cost: 1, status: "blip2-edge; fwd=partial; stored" });
    expect(edge.node.asked.at(-1)?.request.texts).toEqual(["Question: c? Answer:"]);
    expect(await cost(ask(["c?", "b?", "a?"]))).toMatchObject(hit);
    const one = await cost(() => edge.upload("/v1/vqa", file, { question: "b?" }));
    expect(one).toMatchObject(hit);
  });

  test("a new revision of the model: an inference of its own, noticed without waiting", async () => {
    // Believed for far longer than the first part takes, so that nobody hears of it but by the node's refusal.
    const own = await startEdge({ vars: { CATALOG_TTL_MS: "2000" } });
    const caption = (prompt?: string) =>
      costOf(own, () =>
        own.upload("/v1/caption", file, prompt === undefined ? undefined : { prompt }),
      );
    const file = await png(seed);
    await caption();
    own.node.catalog = { models: [{ ...fakeModel, model_revision: "f".repeat(16) }] };
    const stale = await caption("new");
    expect(stale).toMatchObject(miss);
    expect(own.lastEvent()).toMatchObject({ catalog_refreshed: true });
    expect(stale.body).toMatchObject({ model_revision: "f".repeat(16) });
    expect(await caption()).toMatchObject(miss);
    own.node.catalog = { models: [fakeModel] };
    await expect
      .poll(async () => (await caption()).body, { timeout: 20_000, interval: 200 })
      .toMatchObject({ model_revision: fakeModel.model_revision });
    expect(await caption()).toMatchObject(hit);
    await own.stop();
  });
});

describe("another tenant", () => {
  test("its first request for the same picture is an inference of its own, by every way in", async () => {
    const secretUrl = `http://${originHost}/secret.png`;
    const ways: ((file: Buffer, key: string) => Promise<Response>)[] = [
      (file, key) => edge.upload("/v1/caption", file, undefined, key),
      (file, key) => edge.json("/v1/caption", { image: { base64: file.toString("base64") } }, key),
      (_, key) => edge.json("/v1/caption", { image: { url: secretUrl } }, key),
      (_, key) => edge.call(`/v1/caption?url=${encodeURIComponent(secretUrl)}`, { key }),
    ];
    for (const adas of ways) {
      for (const bobs of ways) {
        const file = await png(++seed);
        files.set("/secret.png", file);
        expect(await cost(() => adas(file, edge.ada))).toMatchObject(miss);
        expect(await cost(() => bobs(file, edge.bob))).toMatchObject(miss);
        expect(await cost(() => bobs(file, edge.bob))).toMatchObject(hit);
      }
    }
  });

  test("no header and no field of the body tells whether someone else has sent the picture", async () => {
    const known = await png(seed);
    const fresh = await png(seed + 1);
    seed += 1;
    await edge.upload("/v1/caption", known);
    const shape = async (file: Buffer) => {
      const response = await edge.upload("/v1/caption", file, undefined, edge.bob);
      const body = (await response.json()) as Record<string, unknown>;
      const headers = Object.fromEntries(response.headers);
      for (const name of ["x-request-id", "etag", "date", "server-timing"]) delete headers[name];
      const { text: _, image_id: __, ...rest } = body;
      return { status: response.status, headers, rest };
    };
    const [theirs, own] = [await shape(known), await shape(fresh)];
    expect(theirs).toEqual(own);
    // Nor does the node learn a name, and it is sent the pixels again.
    const [first, second] = edge.node.asked.slice(-2);
    expect(first).toMatchObject({ withPixels: true });
    expect(second).toMatchObject({ withPixels: true });
    expect(first?.request.partition).toBe(second?.request.partition);
    expect(JSON.stringify(first)).not.toContain("bob");
    const adas = edge.node.asked.at(-3)?.request.partition;
    expect(adas).not.toBe(first?.request.partition);
  });

  test("a public picture, fetched by both from a URL that says so, is shared; by upload it is not", async () => {
    const file = await png(seed);
    files.set("/public.png", file);
    publicHeaders.set("/public.png", { "cache-control": "public, max-age=00" });
    const url = "https://pictures.example.com/public.png";
    const ask = (key: string) => () => edge.json("/v1/caption", { image: { url } }, key);
    expect(await cost(ask(edge.ada))).toMatchObject(miss);
    expect(await cost(ask(edge.bob))).toMatchObject(hit);
    const other = await png(seed + 1);
    seed += 1;
    files.set("/public2.png", other);
    publicHeaders.set("/public2.png", { "cache-control": "public" });
    const second = "https://pictures.example.com/public2.png";
    await edge.json("/v1/caption", { image: { url: second } });
    const upload = () => edge.upload("/v1/caption", other, undefined, edge.bob);
    expect(await cost(upload)).toMatchObject(miss);
  });

  test.each([
    ["no Cache-Control", "/c1.png", "", {}],
    ["private", "/c2.png", "", { "cache-control": "public, private" }],
    ["no-store", "/c3.png", "", { "cache-control": "public, no-store" }],
    ["a cookie", "/c4.png", "", { "cache-control": "public", "set-cookie": "a=b" }],
    ["Vary: Cookie", "/c5.png", "", { "cache-control": "public", vary: "Cookie" }],
    ["a query", "/c6.png", "?signature=x", { "cache-control": "public" }],
  ])("a URL is not public with: %s", async (_, path, query, headers) => {
    files.set(path, await png(seed));
    publicHeaders.set(path, headers);
    const url = `https://pictures.example.com${path}${query}`;
    const ask = (key: string) => () => edge.json("/v1/caption", { image: { url } }, key);
    expect(await cost(ask(edge.ada))).toMatchObject(miss);
    expect(await cost(ask(edge.bob))).toMatchObject(miss);
    expect(await cost(ask(edge.bob))).toMatchObject(hit);
  });
});

describe("GET", () => {
  test("is the same answer as POST, with validators of its own", async () => {
    files.set("/get.png", await png(seed));
    const path = `/v1/caption?url=${encodeURIComponent(`http://${originHost}/get.png`)}&max_new_tokens=9`;
    const first = await cost(() => edge.call(path));
    expect(first).toMatchObject(miss);
    const { headers } = first.response;
    expect(headers.get("cache-control")).toBe("private, max-age=300");
    expect(headers.get("vary")).toContain("authorization");
    const etag = headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);

    const conditional = await cost(() => edge.call(path, { headers: { "if-none-match": etag } }));
    expect(conditional).toMatchObject(hit);
    expect(conditional.response.status).toBe(304);
    expect(conditional.response.headers.get("etag")).toBe(etag);
    expect(await conditional.response.text()).toBe("");

    const prompted = `${path}&prompt=${encodeURIComponent("an image of")}`;
    const styled = await cost(() => edge.call(`${prompted}&style=alt`));
    expect((styled.body as { text: string }).text).toMatch(/^[0-9A-F][0-9a-f]{7}$/);
    expect(await cost(() => edge.call(prompted))).toMatchObject(hit);

    const drawn = await edge.call(`${path}&do_sample=true`);
    expect(drawn.headers.get("cache-control")).toBe("no-store");

    const other = await edge.call(path, { headers: { "if-none-match": '"0"' } });
    expect(other.status).toBe(200);
    // The picture behind the URL changes: so does the answer.
    files.set("/get.png", await png(seed + 100_000));
    const changed = await cost(() => edge.call(path, { headers: { "if-none-match": etag } }));
    expect(changed).toMatchObject(miss);
    expect(changed.response.status).toBe(200);
  });
});

describe("while the node is down", () => {
  test("cached answers are served, others are 503, and the catalogue is remembered", async () => {
    const file = await png(seed);
    await edge.upload("/v1/caption", file);
    await edge.node.down();
    try {
      expect(await cost(() => edge.upload("/v1/caption", file))).toMatchObject(hit);
      const response = await edge.upload("/v1/caption", await png(seed + 200_000));
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
      await expectProblem(response, "node_unavailable", "caption");
    } finally {
      await edge.node.up();
    }
  });
});
