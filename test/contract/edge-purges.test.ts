// DELETE /v1/cache through two instances of the Worker: what is forgotten, for whom, and from when on.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "@blip2-edge/shared/client";
import { fakeModel } from "../support/fake-node.ts";
import { costOf, expectProblem, hit, miss, startEdge, type Edge } from "../support/edge.ts";
import { jpeg, png } from "../support/pictures.ts";

const operator = `b2e_operator_${"7x".repeat(16)}`;
const vars = { OPERATOR_KEYS: operator, PURGE_TTL_MS: "500" };
const host = "https://pictures.example.com";
const there = new Map<string, Buffer>();
let fetches = 0;
let edge: Edge;
let adasAdmin: string;
let seed = 90_000;
const internet = (request: Request): Response => {
  fetches += 1;
  const file = there.get(new URL(request.url).pathname);
  const headers = { "cache-control": "public, max-age=600" };
  return new Response(new Uint8Array(file ?? []), { headers });
};
beforeAll(async () => {
  edge = await startEdge({ instances: 2, vars, internet });
  const admin = createClient({ url: edge.url, key: operator });
  const request = { name: "admin", tenant: "ada", scopes: ["admin" as const] };
  adasAdmin = (await admin.keyCreate(request)).key;
});
afterAll(() => edge?.stop());
beforeEach(() => {
  seed += 10;
});

const cost = (ask: () => Promise<Response>) => costOf(edge, ask);
const caption =
  (file: Buffer, key = edge.ada) =>
  () =>
    edge.upload("/v1/caption", file, undefined, key);
/** The same at the second instance. */
const elsewhere = (file: Buffer) => () => {
  const body = new FormData();
  body.set("image", new Blob([new Uint8Array(file)]), "picture");
  const headers = { authorization: `Bearer ${edge.ada}` };
  return fetch(`${edge.worker.urls[1]}/v1/caption`, { method: "POST", body, headers });
};
const idOf = (body: unknown): string => (body as { image_id: string }).image_id;
type Scope = Parameters<ReturnType<typeof createClient>["cachePurge"]>[0];
const purge = (scope: Scope, key = adasAdmin) =>
  createClient({ url: edge.url, key }).cachePurge(scope);

describe("a picture", () => {
  test("is forgotten in every tier: results, files, pixels; at once here, soon elsewhere", async () => {
    const file = await png(seed);
    const other = await png(seed + 1);
    const { body } = await cost(caption(file));
    await cost(caption(other));
    expect(await cost(elsewhere(file))).toMatchObject(hit);
    const image_id = idOf(body);
    const answer = await purge({ image_id });
    expect(answer).toMatchObject({ image_id, model_revision: null, tenant: "ada" });
    const inForceMs = Date.parse(answer.in_force_by) - Date.parse(answer.purged_at);
    expect(inForceMs).toBe(500);

    const byId = await edge.json("/v1/caption", { image: { image_id } });
    await expectProblem(byId, "image_not_found", "caption");
    await expect.poll(async () => (await cost(elsewhere(file))).status).toBe(miss.status);
    expect(edge.lastEvent()["image_known_by"]).toBeUndefined();
    expect(await cost(caption(file))).toMatchObject(hit);
    expect(await cost(caption(other))).toMatchObject(hit);
  });

  test("what was under way while it was forgotten is forgotten, too", async () => {
    const file = await png(seed);
    const { body } = await cost(caption(file));
    edge.node.failNext({ kind: "wait", ms: 400 });
    const asked = edge.node.asked.length;
    const slow = edge.upload("/v1/caption", file, { prompt: "slow" });
    await expect.poll(() => edge.node.asked.length).toBe(asked + 1);
    await purge({ image_id: idOf(body) });
    expect((await slow).status).toBe(200);
    const again = await cost(() => edge.upload("/v1/caption", file, { prompt: "slow" }));
    expect(again).toMatchObject(miss);
  });

  test("is another's still, and a public one is forgotten for who purged it", async () => {
    const file = await jpeg(seed);
    const { body } = await cost(caption(file));
    await cost(caption(file, edge.bob));
    there.set("/a.jpg", await jpeg(seed + 1));
    const byUrl = (key: string) => () =>
      edge.json("/v1/caption", { image: { url: `${host}/a.jpg` } }, key);
    const open = await cost(byUrl(edge.ada));
    await cost(byUrl(edge.bob));
    await purge({ image_id: idOf(body) });
    await purge({ image_id: idOf(open.body) });
    expect(await cost(caption(file, edge.bob))).toMatchObject(hit);
    expect(await cost(byUrl(edge.bob))).toMatchObject(hit);
    expect(await cost(caption(file))).toMatchObject(miss);
    const before = fetches;
    expect(await cost(byUrl(edge.ada))).toMatchObject(miss);
    expect(fetches - before).toBe(1);
    expect(await cost(byUrl(edge.ada))).toMatchObject(hit);
  });
});

test("a model revision: its results, and nothing else", async () => {
  const file = await png(seed);
  const text = `revision ${seed}`;
  const match = () => edge.upload("/v1/match", file, { texts: [text] });
  await cost(caption(file));
  await cost(match);
  await purge({ model_revision: fakeModel.model_revision });
  expect(await cost(caption(file))).toMatchObject(miss);
  expect(edge.lastEvent()["image_known_by"]).toBe("digest");
  expect(await cost(match)).toMatchObject(hit);
});

test("a tenant, by its admin or an operator; vectors of texts as well", async () => {
  const file = await png(seed);
  const embed = () => edge.json("/v1/embed", { text: `tenant ${seed}` });
  for (const key of [adasAdmin, operator]) {
    await cost(caption(file));
    await cost(embed);
    await cost(caption(file, edge.bob));
    await purge({ tenant: "ada" }, key);
    expect(await cost(caption(file))).toMatchObject(miss);
    expect(await cost(embed)).toMatchObject(miss);
    expect(await cost(caption(file, edge.bob))).toMatchObject(hit);
  }
  // An operator who names no tenant means every one.
  const { body } = await cost(caption(file));
  expect(await purge({ image_id: idOf(body) }, operator)).toMatchObject({ tenant: null });
  for (const key of [edge.ada, edge.bob])
    expect(await cost(caption(file, key))).toMatchObject(miss);
});

test("who may not, and what says nothing, is refused", async () => {
  const remove = (query: string, key: string) =>
    edge.call(`/v1/cache${query}`, { method: "DELETE", key });
  await expectProblem(await remove("?tenant=ada", edge.ada), "forbidden", "cachePurge");
  await expectProblem(await remove("?tenant=bob", adasAdmin), "forbidden", "cachePurge");
  for (const query of ["", "?image_id=x", "?model_revision=F", "?all=true"]) {
    await expectProblem(await remove(query, adasAdmin), "invalid_request", "cachePurge");
  }
});

test("survives a restart, as what is cached does", async () => {
  const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-edge-"));
  try {
    const url = `${host}/kept.png`;
    there.set("/kept.png", await png(seed + 1));
    const first = await startEdge({ stateDir, vars, internet });
    const file = await png(seed);
    const answer: unknown = await (await first.upload("/v1/caption", file)).json();
    const byUrl = await first.json("/v1/caption", { image: { url } });
    const forgotten = await first.upload("/v1/caption", await png(seed + 2));
    const image_id = idOf(await forgotten.json());
    await createClient({ url: first.url, key: operator }).cachePurge({ image_id });
    await first.stop();

    const second = await startEdge({ stateDir, vars, internet });
    try {
      // The catalogue is kept as well: no node is needed, and no origin.
      await second.node.down();
      const before = fetches;
      const again = await second.upload("/v1/caption", file, undefined, first.ada);
      expect(again.headers.get("blip2-served")).toBe("cache");
      expect(await again.json()).toEqual(answer);
      expect(second.lastEvent()).toMatchObject({ image_known_by: "digest" });
      const urlAgain = await second.json("/v1/caption", { image: { url } }, first.ada);
      expect(urlAgain.headers.get("etag")).toBe(byUrl.headers.get("etag"));
      expect(second.lastEvent()).toMatchObject({ image_known_by: "address" });
      expect(fetches).toBe(before);
      const gone = await second.json("/v1/caption", { image: { image_id } }, first.ada);
      await expectProblem(gone, "image_not_found", "caption");
    } finally {
      await second.stop();
    }
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
});
