// Storyblok has no package that verifies: the rule is the one of its page on webhooks (HMAC-SHA1 of the raw body, in hex),
// checked here against RFC 2202, which no code of ours has made.
import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { testAdapter } from "../../../../test/support/adapter-suite.ts";
import { cmsFlow } from "../../../../test/support/cms-flow.ts";
import { fakeStoryblok } from "../../../../test/support/fake-storyblok.ts";
import { scriptedCms } from "../../../../test/support/scripted-cms.ts";
import { storyblok } from "./storyblok.ts";

testAdapter(fakeStoryblok);

const said = (body: string, signature: string, secrets: readonly string[]) =>
  storyblok.verify(
    {
      url: new URL("https://edge.example/v1/webhooks/con_1"),
      headers: new Headers({ "webhook-signature": signature }),
      body: new TextEncoder().encode(body),
    },
    secrets,
    0,
  );

test("RFC 2202, case 2: believed, and no other", async () => {
  const text = "what do ya want for nothing?";
  const digest = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
  expect(await said(text, digest, ["another", "Jefe"])).toEqual([
    { event: "unknown", skip: "not_understood" },
  ]);
  for (const [body, signature, secret] of [
    [`${text} `, digest, "Jefe"],
    [text, digest, "jefe"],
    [text, digest.slice(0, -1), "Jefe"],
    [text, `sha1=${digest}`, "Jefe"],
  ] as const) {
    await expect(said(body, signature, [secret])).rejects.toMatchObject({
      code: "signature_invalid",
    });
  }
});

const secret = "the webhook secret of a space";
const told = (payload: object) => {
  const body = JSON.stringify(payload);
  return said(body, createHmac("sha1", secret).update(body).digest("hex"), [secret]);
};
const text = "The user ada@example.com did something";

test.each([
  [{ text, action: "created", asset_id: 7, space_id: 1 }, { event: "asset.created" }],
  [{ text, action: "replaced", asset_id: 7, space_id: 1 }, { event: "asset.replaced" }],
  [{ text, action: "restored", asset_id: 7, space_id: 1 }, { event: "asset.restored" }],
  [{ text, action: "deleted", asset_id: 7, space_id: 1 }, { skip: "unknown_event" }],
  [{ text, action: "published", story_id: 7, space_id: 1 }, { skip: "unknown_event" }],
  [{ text }, { skip: "not_understood" }],
])("%j is told as %j", async (payload, notice) => {
  expect(await told(payload)).toMatchObject([notice]);
});

test("two replacements in the same words are two deliveries", async () => {
  const payload = { text, action: "replaced", asset_id: 7, space_id: 1 };
  const [[first], [second]] = [await told(payload), await told(payload)];
  expect(first?.deliveryId).not.toBe(second?.deliveryId);
});

test("a human who writes between our last look and the write's own is not overwritten", async () => {
  const flow = await cmsFlow(fakeStoryblok);
  const asset = flow.cms.add({ bytes: Buffer.from("a picture") });
  flow.cms.before("read", 3, () => (asset.alt = "A human was quicker"));
  await flow.tell("created", asset);
  expect([asset.alt, ...(await flow.ends(asset))]).toEqual([
    ...["A human was quicker", "skipped has_words"],
  ]);
});

const targets = { alt: "alt" };
const row = {
  ...{ id: 7, filename: "https://a.storyblok.com/f/1/10x10/abc/lamp.png", deleted_at: null },
  ...{ content_type: "image/png", content_length: 99, alt: null, copyright: "Ada" },
  meta_data: { title: "Lamp", alt__i18n__de: "Eine Lampe", mood: ["warm"] },
};

test("a write brings all that there is, and is believed when the words are there", async () => {
  const after = { ...row, meta_data: { ...row.meta_data, alt: "A lamp" } };
  for (const answers of [
    [{ body: { asset: after } }],
    // An answer without the asset is looked after.
    [{ status: 204 }, { body: after }],
  ]) {
    const cms = scriptedCms(targets, { body: row }, { body: { asset: row } }, ...answers);
    const asset = await storyblok.read(cms, "7");
    if (asset === undefined) throw new Error("it is there");
    expect(asset).toMatchObject({ version: "10x10/abc-99", words: { alt: null } });
    expect(await storyblok.write(cms, asset, { alt: "A lamp" })).toBe("written");
    expect(cms.asked[2]?.json).toEqual({
      asset: { meta_data: { ...row.meta_data, copyright: "Ada", alt: "A lamp" } },
    });
    expect(cms.asked[2]?.headers).toEqual({ authorization: cms.token });
  }
});

test("words of the asset's own field count; a translation is a field like any other", async () => {
  const own = { ...row, alt: "Of the asset's own field", meta_data: null };
  const read = (body: object, alt: string) => storyblok.read(scriptedCms({ alt }, { body }), "7");
  expect((await read(own, "alt"))?.words).toEqual({ alt: own.alt });
  expect((await read(row, "alt__i18n__de"))?.words).toEqual({ alt: "Eine Lampe" });
  expect((await read(row, "alt__i18n__fr"))?.words).toEqual({ alt: null });
});

test("a private file is not fetched, and not listed to be", async () => {
  const body = { ...row, is_private: true };
  const read = storyblok.read(scriptedCms(targets, { body }), "7");
  await expect(read).rejects.toMatchObject({ code: "cms_file_private", again: false });
  const listed = scriptedCms(targets, { body: { assets: [body, { ...row, id: 8 }] } });
  const { assets } = await storyblok.listUntitled(listed, undefined);
  expect(assets.map(({ id }) => id)).toEqual(["8"]);
});

test("what lies in the bin is gone", async () => {
  const body = { ...row, deleted_at: "2026-11-23 07:20" };
  expect(await storyblok.read(scriptedCms(targets, { body }), "7")).toBeUndefined();
  expect(await storyblok.read(scriptedCms(targets), "7/../8")).toBeUndefined();
  const listed = await storyblok.listUntitled(
    scriptedCms(targets, { body: { assets: [body] } }),
    undefined,
  );
  expect(listed.assets).toEqual([]);
});
