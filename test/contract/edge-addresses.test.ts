// What is known of a picture without reading it: by its URL, as long as its origin said or confirms, and by the
// digest of its file. Counted are what the origins were asked for, and whether anything was decoded.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "@blip2-edge/shared/client";
import { costOf, expectProblem, hit, miss, startEdge, type Edge } from "../support/edge.ts";
import { png } from "../support/pictures.ts";

interface Served {
  file?: Buffer;
  headers?: Record<string, string>;
  status?: number;
}
/** Path → what the public internet answers there. */
const there = new Map<string, Served>();
/** What was asked of it: path and validators. */
const asked: { path: string; etag: string | null; since: string | null }[] = [];
const host = "https://pictures.example.com";
const operator = `b2e_operator_${"7x".repeat(16)}`;

let edge: Edge;
let seed = 70_000;
beforeAll(async () => {
  edge = await startEdge({
    vars: { OPERATOR_KEYS: operator, KEY_TTL_MS: "0" },
    internet(request) {
      const { pathname } = new URL(request.url);
      const [etag, since] = ["if-none-match", "if-modified-since"].map((name) =>
        request.headers.get(name),
      );
      asked.push({ path: pathname, etag: etag ?? null, since: since ?? null });
      const served = there.get(pathname);
      if (served === undefined) return new Response("nothing here", { status: 404 });
      const { file, headers = {}, status = 200 } = served;
      const same = etag !== null && etag === headers["etag"];
      if (status === 200 && same) return new Response(null, { status: 304, headers });
      return new Response(file === undefined ? null : new Uint8Array(file), { status, headers });
    },
  });
});
afterAll(() => edge?.stop());
beforeEach(() => {
  seed += 10;
  asked.length = 0;
});

/** Serves a picture of its own at a path of its own. */
async function serve(headers: Record<string, string>): Promise<{ path: string; url: string }> {
  const path = `/${seed}-${there.size}.png`;
  there.set(path, { file: await png(seed + there.size), headers });
  return { path, url: host + path };
}
const change = async (path: string, more: Partial<Served> = {}) =>
  there.set(path, { ...there.get(path), file: await png(++seed + 5_000_000), ...more });
interface Asking {
  readonly key?: string;
  readonly headers?: Record<string, string>;
  readonly prompt?: string;
}
const ask =
  (url: string, { key = edge.ada, headers = {}, prompt }: Asking = {}) =>
  () =>
    edge.call("/v1/caption", {
      method: "POST",
      key,
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ image: { url }, ...(prompt === undefined ? {} : { prompt }) }),
    });
const cost = async (asking: () => Promise<Response>) => {
  const before = asked.length;
  const result = await costOf(edge, asking);
  return {
    ...result,
    fetches: asked.length - before,
    served: result.response.headers.get("blip2-served"),
  };
};

describe("an address", () => {
  test("is not asked again while it is fresh, whatever lies there meanwhile", async () => {
    const { path, url } = await serve({ "cache-control": "max-age=60" });
    const first = await cost(ask(url));
    expect(first).toMatchObject({ ...miss, fetches: 1, served: "live" });
    await change(path);
    const second = await cost(ask(url));
    expect(second).toMatchObject({ ...hit, fetches: 0, served: "cache", body: first.body });
    expect(edge.lastEvent()).toMatchObject({ image_known_by: "address", served: "cache" });
    // A new question about it is answered from the stored pixels, if the node has lost them.
    edge.node.forgetPixels();
    expect(await cost(ask(url, { prompt: "new" }))).toMatchObject({ ...miss, fetches: 0 });
    // Cache-Control: no-cache asks, whatever is believed.
    const looked = await cost(ask(url, { headers: { "cache-control": "no-cache" } }));
    expect(looked).toMatchObject({ ...miss, fetches: 1 });
  });

  test("past its time it is asked with its validators, and a 304 costs neither a file nor a node", async () => {
    const modified = "Sun, 29 Nov 2026 10:00:00 GMT";
    const { path, url } = await serve({
      ...{ "cache-control": "max-age=0", etag: '"1"', "last-modified": modified },
    });
    const first = await cost(ask(url));
    expect(first).toMatchObject({ ...miss, fetches: 1 });
    const second = await cost(ask(url));
    expect(second).toMatchObject({ ...hit, fetches: 1, served: "revalidated", body: first.body });
    expect(asked.at(-1)).toEqual({ path, etag: '"1"', since: modified });
    await change(path, { headers: { "cache-control": "max-age=60", etag: '"2"' } });
    const changed = await cost(ask(url));
    expect(changed).toMatchObject({ ...miss, fetches: 1, served: "live" });
    expect(asked.at(-1)).toMatchObject({ etag: '"1"' });
    expect(await cost(ask(url))).toMatchObject({ ...hit, fetches: 0, body: changed.body });
  });

  test("without validators the file is read again, and known by its digest", async () => {
    const { url } = await serve({});
    await cost(ask(url));
    expect(await cost(ask(url))).toMatchObject({ ...hit, fetches: 1, served: "cache" });
    expect(edge.lastEvent()).toMatchObject({ image_known_by: "digest" });
  });

  test("stale-while-revalidate answers at once and asks afterwards", async () => {
    const headers = { "cache-control": "max-age=0, stale-while-revalidate=60", etag: '"1"' };
    const { path, url } = await serve(headers);
    const first = await cost(ask(url));
    await change(path, { headers: { "cache-control": "max-age=60", etag: '"2"' } });
    const stale = await cost(ask(url));
    expect(stale).toMatchObject({ ...hit, served: "stale", body: first.body });
    await expect.poll(() => asked.length).toBe(2);
    expect(asked.at(-1)).toMatchObject({ etag: '"1"' });
    // The new picture is there, decoded and stored, before anyone waits for it.
    await expect.poll(async () => (await cost(ask(url))).served).toBe("live");
    expect(edge.lastEvent()).toMatchObject({ image_known_by: "address" });
    expect(await cost(ask(url))).toMatchObject({ ...hit, fetches: 0, served: "cache" });
    expect(asked).toHaveLength(2);
  });

  test("stale-if-error answers while the origin fails, and only then", async () => {
    const headers = { "cache-control": "max-age=0, stale-if-error=60" };
    const { path, url } = await serve(headers);
    const first = await cost(ask(url));
    there.set(path, { ...there.get(path), status: 503 });
    expect(await cost(ask(url))).toMatchObject({ ...hit, served: "stale", body: first.body });
    expect(edge.lastEvent()["address_fault"]).toContain("503");
    there.set(path, { ...there.get(path), status: 404 });
    await expectProblem(await ask(url)(), "fetch_failed", "caption");
    // What is gone is forgotten: the origin's next failure is one.
    there.set(path, { ...there.get(path), status: 503 });
    await expect.poll(async () => (await ask(url)()).status).toBe(502);
    const { path: strict, url: strictUrl } = await serve({
      "cache-control": "max-age=0, stale-if-error=60, must-revalidate",
    });
    await cost(ask(strictUrl));
    there.set(strict, { ...there.get(strict), status: 503 });
    await expectProblem(await ask(strictUrl)(), "fetch_failed", "caption");
  });

  test("what an origin wants to be kept by nobody is not known by its address", async () => {
    const { url } = await serve({ "cache-control": "max-age=60, no-store" });
    await cost(ask(url));
    expect(await cost(ask(url))).toMatchObject({ ...hit, fetches: 1 });
  });

  test("a way of redirects is fresh as long as each of them says so", async () => {
    const { path } = await serve({ "cache-control": "max-age=60", etag: '"1"' });
    for (const [from, caching, fetches] of [
      ["/moved", {}, 2],
      ["/moved-for-a-while", { "cache-control": "max-age=60" }, 0],
    ] as const) {
      there.set(from, { status: 302, headers: { location: path, ...caching } });
      await cost(ask(host + from));
      asked.length = 0;
      expect(await cost(ask(host + from))).toMatchObject({ ...hit, fetches });
      // Validators go to the hop that gave them.
      expect(asked.map(({ etag }) => etag)).toEqual(fetches === 0 ? [] : [null, '"1"']);
    }
  });

  test("the key's list of hosts decides before anything that is known, on every hop", async () => {
    const { path } = await serve({ "cache-control": "public, max-age=60" });
    const url = `https://elsewhere.example.com/to${path}`;
    const location = host + path;
    there.set(`/to${path}`, { status: 302, headers: { location, "cache-control": "max-age=60" } });
    await cost(ask(url));
    const admin = createClient({ url: edge.url, key: operator });
    const limitedTo = async (...hosts: string[]) =>
      (await admin.keyCreate({ name: "limited", tenant: "ada", fetch_allow: hosts })).key;
    const nowhere = await limitedTo("other.example.com");
    const half = await limitedTo("elsewhere.example.com");
    const whole = await limitedTo("*.example.com");
    for (const key of [nowhere, half]) {
      await expectProblem(await ask(url, { key })(), "url_refused", "caption");
      expect(edge.lastEvent()["internal"]).toContain("not_in_key_allow_list");
    }
    expect(await cost(ask(url, { key: whole }))).toMatchObject({ ...hit, fetches: 0 });
  });

  test("a public one is known to every tenant, any other to its own", async () => {
    const open = await serve({ "cache-control": "public, max-age=60" });
    const plain = await serve({ "cache-control": "max-age=60" });
    for (const [{ url }, theirs] of [
      [open, { ...hit, fetches: 0 }],
      [plain, { ...miss, fetches: 1 }],
    ] as const) {
      await cost(ask(url));
      expect(await cost(ask(url, { key: edge.bob }))).toMatchObject(theirs);
      expect(await cost(ask(url, { key: edge.bob }))).toMatchObject({ ...hit, fetches: 0 });
    }
  });
});

describe("a file", () => {
  test("that was sent before is not decoded again, by whatever way it comes", async () => {
    const file = await png(seed);
    await cost(() => edge.upload("/v1/caption", file));
    const base64 = { base64: file.toString("base64") };
    for (const again of [
      () => edge.upload("/v1/caption", file),
      () => edge.json("/v1/caption", { image: base64 }),
    ]) {
      expect(await cost(again)).toMatchObject(hit);
      expect(edge.lastEvent()).toMatchObject({ image_known_by: "digest" });
    }
    // For a new question the node gets the pixels from the store, if it lacks them.
    edge.node.forgetPixels();
    const asking = () => edge.upload("/v1/caption", file, { prompt: "new" });
    expect(await cost(asking)).toMatchObject(miss);
    expect(edge.lastEvent()).toMatchObject({ image_known_by: "digest", node_attempts: 2 });
  });

  test("is decoded anew for a model of another size, and then known at both", async () => {
    const file = await png(seed);
    const match = (text: string) => () => edge.upload("/v1/match", file, { texts: [text] });
    await cost(() => edge.upload("/v1/caption", file));
    for (const [asking, known] of [
      [match("a"), undefined],
      [match("b"), "digest"],
      [() => edge.upload("/v1/caption", file, { prompt: "c" }), "digest"],
    ] as const) {
      await cost(asking);
      expect(edge.lastEvent()["image_known_by"]).toBe(known);
    }
  });
});

describe("no-store", () => {
  const headers = { "cache-control": "no-store" };
  const notKept = { cost: 1, status: "blip2-edge; fwd=bypass; detail=no-store", served: "live" };
  const stored = async (): Promise<string[]> =>
    (await edge.worker.stored()).filter((name) => !name.startsWith("catalog/"));

  test("of a request or a key: nothing is kept, looked up or believed", async () => {
    const { url } = await serve({ "cache-control": "public, max-age=60" });
    const admin = createClient({ url: edge.url, key: operator });
    const { key } = await admin.keyCreate({ name: "quiet", tenant: "ada", no_store: true });
    const before = await stored();
    for (const asking of [ask(url, { headers }), ask(url, { key }), ask(url, { headers })]) {
      expect(await cost(asking)).toMatchObject({ ...notKept, fetches: 1 });
      expect(edge.node.asked.at(-1)).toMatchObject({ withPixels: true });
    }
    expect(await stored()).toEqual(before);
    const { body } = await cost(ask(url, { headers }));
    const { image_id } = body as { image_id: string };
    const byId = await edge.json("/v1/caption", { image: { image_id } });
    await expectProblem(byId, "image_not_found", "caption");

    // What is kept for others is not used, either, and what they asked for is not changed.
    expect(await cost(ask(url))).toMatchObject({ ...miss, fetches: 1 });
    expect(await cost(ask(url, { headers }))).toMatchObject({ ...notKept, fetches: 1 });
    expect(await cost(ask(url))).toMatchObject({ ...hit, fetches: 0 });
  });

  test("the answer to a GET is for no cache, either", async () => {
    const { url } = await serve({});
    const response = await edge.call(`/v1/caption?url=${encodeURIComponent(url)}`, { headers });
    expect(response.headers.get("cache-control")).toBe("no-store");
  });
});
