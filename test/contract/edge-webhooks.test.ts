// Webhooks of CMSs through the Worker, each CMS by its stand-in: what is uploaded gets words, once, and no word of a
// human is ever overwritten, whatever comes twice, late, out of order or not at all.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient, type Client } from "@blip2-edge/shared/client";
import type { Backfill, CreateBackfillRequest } from "@blip2-edge/shared/contracts/backfills";
import type { Connection, CreateConnectionRequest } from "@blip2-edge/shared/contracts/connections";
import type { Scope } from "@blip2-edge/shared/contracts/keys";
import type { Delivery } from "@blip2-edge/shared/contracts/deliveries";
import { AppError } from "@blip2-edge/shared/problem";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { startFakeCms, type FakeCms } from "../support/fake-cms-server.ts";
import type { FakeAsset, FakeHook } from "../support/fake-cms.ts";
import { fakeCloudinary } from "../support/fake-cloudinary.ts";
import { fakeContentful } from "../support/fake-contentful.ts";
import { fakeDirectus } from "../support/fake-directus.ts";
import { fakeSanity } from "../support/fake-sanity.ts";
import { fakeShopify } from "../support/fake-shopify.ts";
import { fakeSite } from "../support/fake-site.ts";
import { fakeStoryblok } from "../support/fake-storyblok.ts";
import { fakeStrapi } from "../support/fake-strapi.ts";
import { html, jpeg, png, truncatedJpeg } from "../support/pictures.ts";

const secret = `whsec_${Buffer.from("the webhook secret of the tests!").toString("base64")}`;
const oldSecret = `whsec_${Buffer.from("the webhook secret of yesterday!").toString("base64")}`;
const said = /^Picture [0-9a-f]{8}$/;

const own = [fakeDirectus, fakeStrapi, fakeSite];
/** What else they must do is in the suite of adapters, in this process; here is what only a Worker can show. */
const hosted = [fakeCloudinary, fakeStoryblok, fakeShopify];

let edge: Edge;
let ada: Client;
let cmss: readonly FakeCms[];

beforeAll(async () => {
  // The last one is the library of backfills.
  cmss = await Promise.all([...own, ...hosted, fakeDirectus].map(startFakeCms));
  const origins = cmss.map(({ origin }) => origin).join(",");
  edge = await startEdge({
    vars: {
      CMS_PRIVATE_ORIGINS: origins,
      ...{ CMS_RETRY_WAIT_MS: "20", CMS_ATTEMPTS: "3", CMS_TIMEOUT_MS: "1500" },
      ...{ MAX_IMAGE_BYTES: "200000", KEY_TTL_MS: "0" },
    },
  });
  ada = createClient({ url: edge.url, key: await keyOf("ada") });
  // The catalogue is known from here on.
  await edge.call("/v1/models");
});
afterAll(async () => {
  await edge?.stop();
  await Promise.all((cmss ?? []).map((cms) => cms.stop()));
});

async function keyOf(tenant: string, scope: Scope = "connections"): Promise<string> {
  const { key } = await createApiKey();
  await edge.worker.putKey({ key, tenant, name: "cms", scopes: [scope] });
  return key;
}

const connectTo = (
  cms: FakeCms,
  more: Partial<CreateConnectionRequest> = {},
): Promise<Connection> =>
  ada.connectionCreate({
    ...{ name: "site", kind: cms.vendor.kind, base_url: cms.url, allow_private: true },
    ...{ token: cms.token, webhook_secret: secret, mode: "apply" },
    // The stand-in of the node scores at random.
    min_itm: null,
    sweep_every_s: null,
    ...more,
  });

const send = ({ webhook_path: path }: Connection, hook: FakeHook | undefined): Promise<Response> =>
  edge.call(path, { method: "POST", key: null, ...hook });
async function deliver(connection: Connection, hook: FakeHook | undefined): Promise<void> {
  const response = await send(connection, hook);
  expect(response.status, await response.clone().text()).toBe(200);
}

const deliveriesOf = async ({ id }: Connection, assetId?: string): Promise<readonly Delivery[]> =>
  (await ada.deliveryList({ connection: id, asset_id: assetId })).deliveries;

/** Waits until nothing of the asset is left to do; the newest first. */
async function over(connection: Connection, { id }: FakeAsset): Promise<readonly Delivery[]> {
  let found: readonly Delivery[] = [];
  await expect
    .poll(
      async () => {
        found = await deliveriesOf(connection, id);
        const open = found.filter(({ finished_at: at }) => at === null);
        if (open.some(({ next_attempt_at: at }) => at !== null)) await edge.worker.tick();
        return found.length > 0 && open.length === 0;
      },
      { timeout: 15_000, interval: 50 },
    )
    .toBe(true);
  return found;
}
const upload = async (cms: FakeCms, seed: number): Promise<FakeAsset> =>
  cms.add({ bytes: await png(seed) });

describe.each([0, 1, 2])("CMS %i", (index) => {
  let cms: FakeCms;
  let connection: Connection;
  beforeAll(async () => {
    cms = cmss[index] as FakeCms;
    connection = await connectTo(cms);
  });

  test("an upload gets words; what has some, or is no picture, is left alone", async () => {
    const picture = await upload(cms, 1);
    const titled = cms.add({ bytes: await png(2), alt: "By a human" });
    const text = cms.add({ bytes: Buffer.from("words"), mime: "text/plain" });
    const broken = cms.add({ bytes: await truncatedJpeg(), mime: "image/jpeg" });
    const login = cms.add({ bytes: html });
    const all = [picture, titled, text, broken, login];
    for (const asset of all) await deliver(connection, cms.vendor.hook("created", asset, secret));
    const ends = await Promise.all(all.map(async (asset) => (await over(connection, asset))[0]));
    expect(ends.map((end) => `${end?.state} ${end?.reason}`)).toEqual([
      ...["written null", "skipped has_words", "skipped not_an_image"],
      ...["failed file_broken", "failed login_page"],
    ]);
    expect(picture.alt).toMatch(said);
    // Without a vocabulary they are the words of the caption.
    expect(picture.tags).toEqual(cms.vendor.hasTags ? [picture.alt?.slice(-8)] : null);
    expect([titled.alt, text.alt, broken.alt, login.alt]).toEqual(["By a human", null, null, null]);
    expect(all.map(({ id }) => cms.writes(id))).toEqual([1, 0, 0, 0, 0]);
    expect(ends[4]?.detail).toContain("not logged in");
  });

  test("ten times the same, after one that is older, is one write; our own write is no work", async () => {
    const picture = await upload(cms, 3);
    const first = cms.vendor.hook("created", picture, secret);
    picture.bytes = await jpeg(4);
    picture.uploads += 1;
    const second = cms.vendor.hook("replaced", picture, secret);
    const hooks = Array.from({ length: 10 }, () => second);
    await Promise.all([...hooks, first].map((hook) => deliver(connection, hook)));
    const ends = await over(connection, picture);
    expect(ends.map(({ state }) => state).filter((state) => state === "written")).toHaveLength(1);
    expect(ends.reduce((sum, { seen }) => sum + seen, 0)).toBe(11);
    expect(cms.writes(picture.id)).toBe(1);
    const own = cms.vendor.hook("edited", picture, secret);
    if (own !== undefined) await deliver(connection, own);
    await over(connection, picture);
    expect(cms.writes(picture.id)).toBe(1);
  });

  test("a human who writes between our look and our write is not overwritten", async () => {
    const picture = await upload(cms, 5);
    cms.before("read", 2, () => (picture.alt = "A human was quicker"));
    await deliver(connection, cms.vendor.hook("created", picture, secret));
    const [end] = await over(connection, picture);
    expect([end?.state, picture.alt]).toEqual([
      cms.vendor.hasTags ? "written" : "skipped",
      "A human was quicker",
    ]);
  });

  test("a new file asks again while our words stand, and not once a human has edited them", async () => {
    const picture = await upload(cms, 6);
    await deliver(connection, cms.vendor.hook("created", picture, secret));
    await over(connection, picture);
    const first = picture.alt;
    picture.bytes = await jpeg(7);
    picture.uploads += 1;
    await deliver(connection, cms.vendor.hook("replaced", picture, secret));
    await over(connection, picture);
    expect(picture.alt).toMatch(said);
    expect(picture.alt).not.toBe(first);

    picture.alt = "Better words";
    picture.bytes = await png(8, 96);
    picture.uploads += 1;
    await deliver(connection, cms.vendor.hook("replaced", picture, secret));
    const [end] = await over(connection, picture);
    expect([end?.state, end?.reason, picture.alt]).toEqual([
      "skipped",
      "has_words",
      "Better words",
    ]);
  });

  test("who is not proven is refused, and leaves nothing behind", async () => {
    const picture = await upload(cms, 9);
    const hook = cms.vendor.hook("created", picture, secret) as FakeHook;
    const wrong = cms.vendor.hook("created", picture, oldSecret) as FakeHook;
    const bare = { headers: { "content-type": "application/json" }, body: hook.body };
    for (const each of [wrong, bare]) {
      await expectProblem(await send(connection, each), "signature_invalid");
    }
    const unknown = { ...connection, webhook_path: `/v1/webhooks/con_${"0".repeat(32)}` };
    await expectProblem(await send(unknown, hook), "not_found");
    expect(await deliveriesOf(connection, picture.id)).toEqual([]);
    expect(edge.lines.join("\n")).not.toContain(secret.slice(6));

    await ada.connectionUpdate({ id: connection.id, webhook_secret: oldSecret });
    await deliver(connection, hook);
    await deliver(connection, wrong);
    await ada.connectionUpdate({ id: connection.id, webhook_secret: secret, secret_overlap_s: 0 });
    await expectProblem(await send(connection, wrong), "signature_invalid");
    await over(connection, picture);
  });

  test("suggested first, then accepted with other words, then undone", async () => {
    const careful = await connectTo(cms, { mode: "suggest" });
    const picture = await upload(cms, 10);
    await deliver(careful, cms.vendor.hook("created", picture, secret));
    const [end] = await over(careful, picture);
    expect([end?.state, end?.reason, picture.alt]).toEqual(["suggested", "mode_suggest", null]);
    const { suggestions } = await ada.suggestionList({ connection: careful.id, state: "open" });
    const [open] = suggestions;
    expect(open?.ours.alt).toMatch(said);
    const id = open?.id ?? "";
    const accepted = await ada.suggestionAccept({ id, alt: "An edited text" });
    expect([accepted.state, picture.alt]).toEqual(["written", "An edited text"]);
    await expect(ada.suggestionAccept({ id })).rejects.toMatchObject({ code: "suggestion_closed" });
    const undone = await ada.suggestionUndo({ id });
    expect([undone.state, picture.alt]).toEqual(["undone", null]);

    await ada.deliveryReplay({ connection: careful.id, id: end?.id ?? "" });
    await over(careful, picture);
    const again = await ada.suggestionList({ connection: careful.id, state: "open" });
    picture.alt = "Meanwhile by a human";
    if (!cms.vendor.hasTags) {
      const late = ada.suggestionAccept({ id: again.suggestions[0]?.id ?? "" });
      await expect(late).rejects.toMatchObject({ code: "words_changed" });
    } else {
      await ada.suggestionAccept({ id: again.suggestions[0]?.id ?? "" });
    }
    expect(picture.alt).toBe("Meanwhile by a human");
    const { events } = await ada.connectionEvents({ connection: careful.id, asset_id: picture.id });
    expect(events.map(({ what }) => what)).toEqual(
      expect.arrayContaining(["received", "suggested", "suggestion_written", "suggestion_undone"]),
    );
  });

  test("a person's words wait for an acceptance, are written as any, and are that person's from then on", async () => {
    const careful = await connectTo(cms, { mode: "suggest", max_length: 20 });
    const picture = await upload(cms, 12);
    await deliver(careful, cms.vendor.hook("created", picture, secret));
    const [end] = await over(careful, picture);
    const { suggestions } = await ada.suggestionList({ connection: careful.id, state: "open" });
    const [open] = suggestions;
    const id = open?.id ?? "";
    const long = ada.suggestionEdit({ id, alt: "Longer than twenty characters" });
    await expect(long).rejects.toMatchObject({
      code: "invalid_request",
      errors: [{ field: "alt" }],
    });
    const edited = await ada.suggestionEdit({ id, alt: "By an editor" });
    expect([edited.state, edited.ours.alt, edited.original?.alt, picture.alt]).toEqual([
      ...["open", "By an editor", open?.ours.alt, null],
    ]);
    // Worked on once more, the words that wait stay.
    await ada.deliveryReplay({ connection: careful.id, id: end?.id ?? "" });
    expect((await over(careful, picture))[0]?.reason).toBe("edited");
    const accepted = await ada.suggestionAccept({ id });
    expect([accepted.state, picture.alt]).toEqual(["written", "By an editor"]);
    picture.bytes = await jpeg(13);
    picture.uploads += 1;
    await deliver(careful, cms.vendor.hook("replaced", picture, secret));
    expect((await over(careful, picture))[0]?.reason).toBe("has_words");
    await ada.suggestionUndo({ id });
    expect(picture.alt).toBeNull();
    const late = ada.suggestionEdit({ id, alt: "Too late" });
    await expect(late).rejects.toMatchObject({ code: "suggestion_closed" });
    const { events } = await ada.connectionEvents({ connection: careful.id, asset_id: picture.id });
    const [edit] = events.filter(({ what }) => what === "suggestion_edited");
    expect([edit?.who, edit?.subject]).toEqual([edited.edited_by, id]);
  });

  test("a sweep finds what no webhook told of, once", async () => {
    const sweeping = await connectTo(cms, { sweep_every_s: 3600 });
    const picture = await upload(cms, 11);
    await edge.worker.tick();
    await over(sweeping, picture);
    expect(picture.alt).toMatch(said);
    const { swept_at: sweptAt } = await ada.connectionRead({ id: sweeping.id });
    expect(sweptAt).not.toBeNull();
    // The webhook comes after all.
    await deliver(sweeping, cms.vendor.hook("created", picture, secret));
    await over(sweeping, picture);
    expect(cms.writes(picture.id)).toBe(1);
    await ada.connectionDelete({ id: sweeping.id });
  });

  test("what a file can be that has no words ends in a reason that an editor can read", async () => {
    const tooBig = Buffer.alloc(300_000);
    expect(await endOf(cms, connection, 20, ({ id }) => cms.assets.delete(id))).toEqual(
      "skipped asset_gone",
    );
    expect(await endOf(cms, connection, 21, (asset) => (asset.bytes = tooBig))).toEqual(
      "failed file_too_large",
    );
    const nothing = { status: 204 };
    const written = await endOf(cms, connection, 22, () => cms.failNext(/^P\w+ /, nothing));
    const isDirectus = cms.vendor.kind === "directus";
    expect(written).toBe(isDirectus ? "skipped asset_gone" : "failed cms_unexpected");
  });
});

/** How it ends with a picture whose CMS does what is arranged; not without a sentence, unless it goes well. */
async function endOf(
  cms: FakeCms,
  connection: Connection,
  seed: number,
  arrange: (asset: FakeAsset) => void,
): Promise<string> {
  const asset = await upload(cms, seed);
  const hook = cms.vendor.hook("created", asset, secret);
  arrange(asset);
  await deliver(connection, hook);
  const [delivery] = await over(connection, asset);
  expect(delivery?.detail === null).toBe(delivery?.state === "written");
  return `${delivery?.state} ${delivery?.reason}`;
}

test.each(hosted.map(({ kind }, index) => [kind, own.length + index] as const))(
  "%s: its signature is believed and no other, and an upload gets words",
  async (_, index) => {
    const cms = cmss[index] as FakeCms;
    const connection = await connectTo(cms);
    const picture = await upload(cms, 70 + index);
    const forged = cms.vendor.hook("created", picture, oldSecret);
    await expectProblem(await send(connection, forged), "signature_invalid");
    await deliver(connection, cms.vendor.hook("created", picture, secret));
    const [end] = await over(connection, picture);
    expect([end?.state, picture.alt]).toEqual(["written", expect.stringMatching(said)]);
    expect(picture.tags).toEqual(cms.vendor.hasTags ? [picture.alt?.slice(-8)] : null);
    expect(cms.writes(picture.id)).toBe(1);
  },
);

test("a CMS that fails is asked again, as often and as late as it may be", async () => {
  const [cms] = cmss as readonly [FakeCms, ...FakeCms[]];
  const connection = await connectTo(cms);
  const row = /^GET \/files$/;
  const ends = (seed: number, ...answers: Parameters<FakeCms["failNext"]>[1][]) =>
    endOf(cms, connection, seed, () => cms.failNext(row, ...answers));
  const login = { status: 200, headers: { "content-type": "text/html" }, body: html };
  expect(await ends(23, login)).toBe("failed cms_unexpected");
  const refused = { status: 401 };
  expect(await ends(24, refused, refused, refused)).toBe("dead token_refused");
  await ada.connectionUpdate({ id: connection.id, token: cms.token });
  await expect
    .poll(
      async () => (await ada.deliveryList({ connection: connection.id, state: "dead" })).deliveries,
    )
    .toEqual([]);
  expect(await ends(25, { status: 503 })).toBe("written null");
  const before = Date.now();
  expect(await ends(26, { status: 429, headers: { "retry-after": "1" } })).toBe("written null");
  expect(Date.now() - before).toBeGreaterThanOrEqual(1000);
});

test("a node that is away delays and loses nothing", async () => {
  const [cms] = cmss as readonly [FakeCms, ...FakeCms[]];
  const connection = await connectTo(cms);
  const picture = await upload(cms, 40);
  await edge.node.down();
  await deliver(connection, cms.vendor.hook("created", picture, secret));
  await expect
    .poll(async () => (await deliveriesOf(connection, picture.id))[0]?.reason, { timeout: 15_000 })
    .toBe("node_unavailable");
  await edge.node.up();
  const [end] = await over(connection, picture);
  expect([end?.state, picture.alt]).toEqual(["written", expect.stringMatching(said)]);
});

test("a lost message, and a Worker that died at its work, are found by the sweep", async () => {
  const [cms] = cmss as readonly [FakeCms, ...FakeCms[]];
  const connection = await connectTo(cms);
  const [waiting, died] = [await upload(cms, 41), await upload(cms, 42)];
  const insert = edge.worker.db.prepare(
    `INSERT INTO deliveries (id, connection_id, delivery_id, event, asset_id, state, due_at, lease, received_at)
     VALUES (?, ?, ?, 'files.upload', ?, ?, ?, ?, ?)`,
  );
  const long = Date.now() - 60_000;
  await insert
    .bind(`dlv_${"a".repeat(32)}`, connection.id, "a", waiting.id, "received", long, null, long)
    .run();
  await insert
    .bind(`dlv_${"b".repeat(32)}`, connection.id, "b", died.id, "fetching", long, "gone", long)
    .run();
  await edge.worker.tick();
  await over(connection, waiting);
  await over(connection, died);
  expect([waiting.alt, died.alt]).toEqual([
    expect.stringMatching(said),
    expect.stringMatching(said),
  ]);
});

test("a Worker that died right after its write: the row says that it was written, and nothing is twice", async () => {
  const [cms] = cmss as readonly [FakeCms, ...FakeCms[]];
  const connection = await connectTo(cms);
  const picture = await upload(cms, 43);
  await deliver(connection, cms.vendor.hook("created", picture, secret));
  const [before] = await over(connection, picture);
  const long = Date.now() - 60_000;
  await edge.worker.db
    .prepare(
      `UPDATE deliveries SET state = 'fetching', due_at = ?1, lease = 'gone', finished_at = NULL
       WHERE connection_id = ?2`,
    )
    .bind(long, connection.id)
    .run();
  await edge.worker.tick();
  const [after] = await over(connection, picture);
  expect([before?.state, after?.state, after?.attempts]).toEqual(["written", "written", 2]);
  expect(cms.writes(picture.id)).toBe(1);
});

test("who may only review sees what waits, its picture and what the CMS holds, and no connection", async () => {
  const [cms] = cmss as readonly [FakeCms, ...FakeCms[]];
  const connection = await connectTo(cms, { name: "Front page", mode: "suggest" });
  const pictures = [await upload(cms, 50), await upload(cms, 51)];
  for (const picture of pictures) {
    await deliver(connection, cms.vendor.hook("created", picture, secret));
    await over(connection, picture);
  }
  const editor = createClient({ url: edge.url, key: await keyOf("ada", "review") });
  for (const ask of [
    () => editor.connectionRead({ id: connection.id }),
    () => editor.deliveryList({ connection: connection.id }),
    () => editor.connectionUpdate({ id: connection.id, mode: "apply" }),
  ]) {
    await expect(ask()).rejects.toMatchObject({ code: "forbidden" });
  }
  const { connections } = await editor.reviewSummary();
  expect(connections).toContainEqual({
    ...{ id: connection.id, name: "Front page", kind: cms.vendor.kind, open: 2 },
  });
  const bob = createClient({ url: edge.url, key: await keyOf("bob", "review") });
  expect(await bob.reviewSummary()).toEqual({ connections: [] });

  const where = { connection: connection.id, limit: 1 };
  const page = await editor.suggestionList(where);
  const [waiting] = page.suggestions;
  const [, picture] = pictures;
  if (waiting === undefined || picture === undefined) throw new Error("nothing waits");
  expect(waiting).toMatchObject({ asset_id: picture.id, file_name: picture.name, detail: null });
  const rest = await editor.suggestionList({ ...where, cursor: page.cursor });
  expect(rest).toMatchObject({ suggestions: [{ asset_id: pictures[0]?.id }] });
  const shown = await fetch(waiting.thumbnail_url ?? "");
  expect([shown.status, shown.headers.get("content-type")]).toEqual([200, "image/webp"]);

  const { id } = waiting;
  await expect(bob.suggestionCurrent({ id })).rejects.toMatchObject({ code: "not_found" });
  const words = cms.vendor.hasTags ? (["alt", "tags"] as const) : (["alt"] as const);
  expect(await editor.suggestionCurrent({ id })).toMatchObject({
    ...{ asset: "there", words: { alt: null }, writable: words },
  });
  picture.alt = "By a human";
  expect(await editor.suggestionCurrent({ id })).toMatchObject({
    ...{ asset: "there", words: { alt: "By a human" }, writable: words.slice(1) },
  });
  picture.uploads += 1;
  expect(await editor.suggestionCurrent({ id })).toMatchObject({ asset: "replaced" });
  cms.assets.delete(picture.id);
  expect(await editor.suggestionCurrent({ id })).toEqual({
    ...{ asset: "gone", words: {}, writable: [] },
  });
  expect(await editor.suggestionReject({ id })).toMatchObject({ state: "rejected" });
});

describe("a backfill", () => {
  let library: FakeCms;
  beforeAll(() => {
    library = cmss.at(-1) as FakeCms;
  });
  const begin = ({ id }: Connection, more: Partial<CreateBackfillRequest> = {}) =>
    ada.backfillCreate({ connection: id, rate: 600, ...more });
  /** Waits until it stands so. */
  async function until(id: string, ...states: readonly Backfill["state"][]): Promise<Backfill> {
    let found = await ada.backfillRead({ id });
    await expect
      .poll(
        async () => {
          await edge.worker.tick();
          found = await ada.backfillRead({ id });
          return states.includes(found.state) ? found.state : JSON.stringify(found);
        },
        { timeout: 30_000, interval: 200 },
      )
      .toMatch(/^[a-z]+$/);
    return found;
  }
  const fill = (from: number, count: number) =>
    Promise.all(Array.from({ length: count }, (_, index) => upload(library, from + index)));
  const waits = (count: number, ms: number) =>
    edge.node.failNext(...Array.from({ length: count }, () => ({ kind: "wait" as const, ms })));

  test("takes up what was there before, each picture once, and what comes in fresh does not wait for it", async () => {
    const titled = library.add({ bytes: await png(80), alt: "By a human" });
    const before = await upload(library, 81);
    const connection = await connectTo(library);
    await deliver(connection, library.vendor.hook("created", before, secret));
    await over(connection, before);
    const pictures = await fill(100, 10);
    waits(11, 300);
    const { id } = await begin(connection);
    const uploaded = () =>
      pictures.filter((one) => library.asked.includes(`GET /assets/${one.id}`));
    await expect
      .poll(() => uploaded().length, { timeout: 10_000, interval: 20 })
      .toBeGreaterThan(1);
    const fresh = await upload(library, 90);
    await deliver(connection, library.vendor.hook("created", fresh, secret));
    const [first] = await over(connection, fresh);
    const done = await until(id, "done");
    expect(done).toMatchObject({
      ...{ reason: null, left: 0, left_s: 0, listing: false },
      counts: { known: 0, listed: 10, written: 10, skipped: 0, failed: 0, dead: 0 },
    });
    const all = await deliveriesOf(connection);
    const later = all.filter(
      ({ backfill, finished_at: at }) => backfill === id && (at ?? "") > (first?.finished_at ?? ""),
    );
    expect(later.length).toBeGreaterThan(2);
    const written = [before, fresh, ...pictures].map((one) => library.writes(one.id));
    expect(new Set(written)).toEqual(new Set([1]));
    expect([titled.alt, library.writes(titled.id)]).toEqual(["By a human", 0]);
    // Once more: there is nothing to do, and it says so.
    expect((await until((await begin(connection)).id, "done")).counts.listed).toBe(0);
    // Those with words are listed too where it is asked for, and left alone.
    const every = await until((await begin(connection, { pictures: "all" })).id, "done");
    expect(every.counts).toMatchObject({ found: 13, known: 12, listed: 1, skipped: 1 });
    expect(titled.alt).toBe("By a human");
  });

  test("one at a time, of its tenant alone; paused it waits, resumed it goes on; over it is over", async () => {
    const connection = await connectTo(library, { mode: "suggest" });
    const pictures = await fill(120, 3);
    expect(await until((await begin(connection, { dry_run: true })).id, "done")).toMatchObject({
      counts: { found: 3, listed: 3, written: 0, waiting: 0 },
    });
    const { id } = await begin(connection, { rate: 1 });
    await expect(begin(connection)).rejects.toMatchObject({
      ...{ code: "backfill_open", detail: expect.stringContaining(id) as unknown },
    });
    const bob = createClient({ url: edge.url, key: await keyOf("bob") });
    for (const ask of [
      () => bob.backfillRead({ id }),
      () => bob.backfillPause({ id }),
      () => bob.backfillCreate({ connection: connection.id }),
    ]) {
      await expect(ask()).rejects.toMatchObject({ code: "not_found" });
    }
    expect((await bob.backfillList({})).backfills).toEqual([]);
    const counts = async () => (await ada.backfillRead({ id })).counts;
    await expect.poll(counts, { timeout: 10_000 }).toMatchObject({ waiting: 2, suggested: 1 });
    const paused = await ada.backfillPause({ id });
    expect([paused.state, paused.reason, paused.resumes_at]).toEqual([
      ...["paused", "paused_by_person", null],
    ]);
    // The CMS is not swept meanwhile, or it would bring the same pictures at once.
    await ada.connectionUpdate({ id: connection.id, sweep_every_s: 3600 });
    await edge.worker.tick();
    expect((await ada.connectionRead({ id: connection.id })).swept_at).toBeNull();
    expect((await counts()).waiting).toBe(2);
    await ada.backfillResume({ id, rate: 600 });
    const done = await until(id, "done");
    expect(done.counts).toMatchObject({ listed: 3, suggested: 3 });
    expect(pictures.map(({ alt }) => alt)).toEqual([null, null, null]);
    await expect(ada.backfillPause({ id })).rejects.toMatchObject({ code: "backfill_over" });
    expect((await ada.backfillCancel({ id })).state).toBe("done");
    const { backfills } = await ada.backfillList({ connection: connection.id });
    expect(backfills.map(({ dry_run: isDry }) => isDry)).toEqual([false, true]);
    for (const { id: one } of pictures) library.assets.delete(one);
  });

  test("a quota that is used up pauses it, and it says so; raised, it goes on", async () => {
    const { key } = await createApiKey();
    await edge.worker.putKey({ key, tenant: "ada", name: "admin", scopes: ["admin"] });
    const admin = createClient({ url: edge.url, key });
    const limits = { inferences_per_day: 2 };
    const worker = await admin.keyCreate({ name: "w", scopes: ["connections"], limits });
    const connection = await connectTo(library, { key_id: worker.id });
    await fill(140, 4);
    const { id } = await begin(connection);
    const paused = await until(id, "paused");
    expect(paused).toMatchObject({ reason: "quota_exceeded", counts: { dead: 0, failed: 0 } });
    expect(paused.detail).toContain("quota");
    expect(paused.resumes_at).not.toBeNull();
    await admin.keyUpdate({ id: worker.id, limits: { inferences_per_day: 100 } });
    // An isolate may know the key as it was for some seconds more, and pause once again.
    const goOn = async () => {
      await edge.worker.tick();
      const { state } = await ada.backfillRead({ id });
      if (state === "paused") await ada.backfillResume({ id });
      return state;
    };
    await expect.poll(goOn, { timeout: 30_000, interval: 200 }).toBe("done");
    const { counts } = await ada.backfillRead({ id });
    expect(counts).toMatchObject({ listed: 4, written: 4 });
  });

  test("a connection that is switched off has none", async () => {
    const connection = await connectTo(library, { mode: "off" });
    await expect(begin(connection)).rejects.toMatchObject({ code: "invalid_request" });
  });
});

describe("connections", () => {
  test("belong to their tenant, and tell no secret", async () => {
    const [cms] = cmss as readonly [FakeCms, ...FakeCms[]];
    const made = await connectTo(cms);
    const bob = createClient({ url: edge.url, key: await keyOf("bob") });
    for (const ask of [
      () => bob.connectionRead({ id: made.id }),
      () => bob.connectionUpdate({ id: made.id, mode: "off" }),
      () => bob.connectionDelete({ id: made.id }),
      () => bob.deliveryList({ connection: made.id }),
      () => bob.connectionEvents({ connection: made.id }),
    ]) {
      await expect(ask()).rejects.toMatchObject({ code: "not_found" });
    }
    expect((await bob.connectionList({})).connections).toEqual([]);
    const told = JSON.stringify([made, await ada.connectionRead({ id: made.id })]);
    const stored = JSON.stringify(
      (await edge.worker.db.prepare("SELECT * FROM connections").all()).results,
    );
    for (const text of [told, stored, edge.lines.join("\n")]) {
      expect(text).not.toContain(cms.token);
      expect(text).not.toContain(secret);
    }
  });

  test.each([
    [{ base_url: "http://127.0.0.1:9" }, "url_refused"],
    [{ allow_private: false }, "url_refused"],
    [{ base_url: "http://user:pw@cms.example" }, "url_refused"],
    [{ kind: "strapi", fields: { tags: "tags" } }, "invalid_request"],
    [{ kind: "directus", fields: { alt: "a b" } }, "invalid_request"],
    [{ kind: "standard", webhook_secret: "not of that form" }, "invalid_request"],
    [{ key_id: "abcdefghijkl" }, "invalid_request"],
  ] as const)("%j is refused as %s", async (more, code) => {
    const [cms] = cmss as readonly [FakeCms, ...FakeCms[]];
    await expect(connectTo(cms, more)).rejects.toSatisfy(
      (error) => error instanceof AppError && error.code === code,
    );
  });

  test("need the scope", async () => {
    await expectProblem(await edge.call("/v1/connections"), "forbidden", "connectionList");
  });
});

test.each([fakeSanity, fakeContentful])(
  "what $kind signs is proven as the Worker hears it, and tampered with refused",
  async (vendor) => {
    const own = vendor.secretOf?.("one") ?? secret;
    const connection = await ada.connectionCreate({
      ...{ name: "hosted", kind: vendor.kind, base_url: `https://cms.example${vendor.basePath}` },
      ...{ token: "a token of the tests", webhook_secret: own, mode: "off" },
    });
    const asset: FakeAsset = {
      ...{ id: vendor.idOf(1, "image/png"), name: "a.png", mime: "image/png", uploads: 1 },
      ...{ bytes: Buffer.alloc(1), alt: null, caption: null, tags: null },
    };
    const sent = { path: connection.webhook_path, nowMs: Date.now() };
    const hook = vendor.hook("created", asset, own, sent) as FakeHook;
    const other = vendor.hook("created", asset, own, { ...sent, nowMs: sent.nowMs - 3_600_000 });
    for (const bad of [{ ...hook, body: `${hook.body} ` }, other]) {
      await expectProblem(await send(connection, bad), "signature_invalid");
    }
    await deliver(connection, hook);
    const [end] = await over(connection, asset);
    expect([end?.state, end?.reason]).toEqual(["skipped", "mode_off"]);
  },
);

test("a caption in the style of alt text is the same caption, by the same rules, and is not streamed", async () => {
  const picture = (await png(60)).toString("base64");
  const ask = (more: object) => edge.json("/v1/caption", { image: { base64: picture }, ...more });
  const plain = (await (await ask({ prompt: "an image of a cat a cat" })).json()) as {
    text: string;
  };
  const before = edge.node.inferences();
  const styled = await ask({ prompt: "an image of a cat a cat", style: "alt" });
  const { text } = (await styled.json()) as { text: string };
  expect(plain.text).toMatch(/^an image of a cat a cat [0-9a-f]{8}$/);
  expect(text).toBe(`A cat ${plain.text.slice(-8)}`);
  expect(edge.node.inferences()).toBe(before);
  await expectProblem(await ask({ style: "alt", stream: true }), "invalid_request", "caption");
});
