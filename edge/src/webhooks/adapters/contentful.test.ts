// Contentful: the suite of adapters, and what only Contentful has. Signatures are made by Contentful's own package,
// @contentful/node-apps-toolkit; nothing here was captured from the hosted service.
import { createHmac } from "node:crypto";
import { signRequest, verifyRequest } from "@contentful/node-apps-toolkit/requests";
import { describe, expect, test } from "vitest";
import { testAdapter } from "../../../../test/support/adapter-suite.ts";
import { cmsFlow, secretNamed } from "../../../../test/support/cms-flow.ts";
import type { FakeAsset } from "../../../../test/support/fake-cms.ts";
import { fakeContentful, keptOf, publish } from "../../../../test/support/fake-contentful.ts";
import { contentful } from "./contentful.ts";

testAdapter(fakeContentful);

const now = Date.UTC(2026, 10, 30, 7, 20);
const path = "/v1/webhooks/con_1";
const secret = secretNamed(fakeContentful, "one");
const url = "//images.ctfassets.net/s1/a1/up7/lion.png";
const bodyWith = (file: object | undefined) =>
  JSON.stringify({
    sys: { id: "a1", type: "Asset", version: 3 },
    fields: {
      title: { "en-US": "Löwe" },
      ...(file === undefined ? {} : { file: { "en-US": file } }),
    },
  });
const body = bodyWith({ url, contentType: "image/png", details: { size: 12 } });
const notice = { event: "Asset.save", assetId: "a1", version: "up7-12" };
const topic = (event: string) => ({ "x-contentful-topic": `ContentManagement.${event}` });

const verify = (headers: Record<string, string>, sent = body, to = path) =>
  contentful.verify(
    {
      url: new URL(to, "https://edge.example"),
      ...{ headers: new Headers(headers), body: new TextEncoder().encode(sent) },
    },
    [secretNamed(fakeContentful, "two"), secret],
    now,
  );
function signed(headers: Record<string, string>, sent = body, to = path): Record<string, string> {
  const request = { method: "POST" as const, path: to, headers, body: sent };
  return { ...headers, ...signRequest(secret, request, now) };
}
const refused = { code: "signature_invalid" };

describe("@contentful/node-apps-toolkit", () => {
  test.each([
    [{}, path],
    [{ "Content-Type": "application/vnd.contentful.management.v1+json", "z-last": "  z " }, path],
    [{}, `${path}?x=1&y=a b`],
    [{}, `${path}?x=%20&y=ä`],
  ])("what it signs with %j at %s is believed", async (more, to) => {
    const asked = new URL(to, "https://edge.example");
    const asSent = `${asked.pathname}${asked.search}`;
    const headers = signed({ ...topic("Asset.save"), ...more }, body, asSent);
    expect(await verify(headers, body, to)).toEqual([notice]);
  });

  test("believes what the stand-in signs", () => {
    const asset: FakeAsset = {
      ...{ id: "a1", name: "lion.png", mime: "image/png", bytes: Buffer.alloc(1), uploads: 1 },
      ...{ alt: null, caption: null, tags: null },
    };
    const hook = fakeContentful.hook("created", asset, secret, { path, nowMs: now });
    const request = { method: "POST" as const, path, headers: { ...hook?.headers } };
    const sent = hook?.body ?? "";
    expect(verifyRequest(secret, { ...request, body: sent }, 0)).toBe(true);
    expect(verifyRequest(secret, { ...request, body: `${sent} ` }, 0)).toBe(false);
  });

  test("at another path, or with another header that it signed, it is refused", async () => {
    const headers = signed(topic("Asset.save"));
    for (const to of [`${path}2`, `${path}?x=1`, "/"]) {
      await expect(verify(headers, body, to)).rejects.toMatchObject(refused);
    }
    const other = { ...headers, ...topic("Asset.publish") };
    await expect(verify(other)).rejects.toMatchObject(refused);
    const { "x-contentful-topic": _, ...without } = headers;
    await expect(verify(without)).rejects.toMatchObject(refused);
    expect(await verify({ ...headers, "x-not-signed": "1" })).toEqual([notice]);
  });
});

test("a signature that leaves out the time, or its own list, is refused however well it is made", async () => {
  const all = ["x-contentful-signed-headers", "x-contentful-timestamp"];
  for (const names of [[all[0]], [all[1]], []]) {
    const headers: Record<string, string> = {
      "x-contentful-timestamp": String(now),
      "x-contentful-signed-headers": names.join(","),
    };
    const lines = names.map((name) => `${name}:${headers[name ?? ""]}`).join(";");
    const signature = createHmac("sha256", secret).update(`POST\n${path}\n${lines}\n${body}`);
    const sent = { ...headers, "x-contentful-signature": signature.digest("hex") };
    await expect(verify(sent)).rejects.toMatchObject(refused);
  }
});

test.each<[string, object | undefined, string | undefined]>([
  ["Asset.publish", { url, contentType: "image/png" }, undefined],
  ["Asset.auto_save", { upload: "https://x.example/1", contentType: "image/png" }, undefined],
  ["Asset.publish", { url, contentType: "application/pdf" }, "not_an_image"],
  ["Asset.create", undefined, "not_an_image"],
  ["Asset.unpublish", { url, contentType: "image/png" }, "unknown_event"],
  ["Entry.publish", undefined, "unknown_event"],
])("%s of %j is told as %s", async (event, file, skip) => {
  const sent = bodyWith(file);
  const [told] = await verify(signed(topic(event), sent), sent);
  expect([told?.event, told?.skip]).toEqual([event, skip]);
});

const picture = Buffer.from("a picture");

test("the title, words in other languages and tags outlive our write", async () => {
  const flow = await cmsFlow(fakeContentful);
  const asset = flow.cms.add({ bytes: picture });
  const before = structuredClone(keptOf(asset));
  await flow.tell("created", asset);
  expect(await flow.ends(asset)).toEqual(["written null"]);
  expect(keptOf(asset)).toEqual(before);
});

test("another locale is written where it is named, and only there", async () => {
  const flow = await cmsFlow(fakeContentful, { fields: { alt: "description.de-DE" } });
  const [bare, titled] = [1, 2].map(() => flow.cms.add({ bytes: picture })) as [
    FakeAsset,
    FakeAsset,
  ];
  keptOf(bare).translated = { "fr-FR": "Écrit par un humain" };
  for (const asset of [bare, titled]) await flow.tell("created", asset);
  expect(await flow.ends(bare, titled)).toEqual(["written null", "skipped has_words"]);
  expect([bare.alt, titled.alt]).toEqual([null, null]);
  expect(keptOf(bare).translated).toEqual({
    "fr-FR": "Écrit par un humain",
    "de-DE": expect.stringMatching(/^Picture /) as string,
  });
});

describe("after our write", () => {
  async function written(
    arrange: (asset: FakeAsset) => void,
    more: (flow: Flow, asset: FakeAsset) => void,
  ) {
    const flow = await cmsFlow(fakeContentful);
    const asset = flow.cms.add({ bytes: picture });
    arrange(asset);
    more(flow, asset);
    await flow.tell("created", asset);
    const [end] = await flow.ends(asset);
    expect(asset.alt).toMatch(/^Picture /);
    return { end, isPublic: keptOf(asset).publishedAlt === asset.alt };
  }
  type Flow = Awaited<ReturnType<typeof cmsFlow>>;
  const nothing = (): void => {};

  test("a draft stays a draft", async () => {
    expect(await written(nothing, nothing)).toEqual({ end: "written null", isPublic: false });
  });

  test("what was public and unchanged is public again, with our words", async () => {
    expect(await written(publish, nothing)).toEqual({ end: "written null", isPublic: true });
  });

  test("what had changes of others is not published with them, and says so", async () => {
    const change = (asset: FakeAsset) => {
      publish(asset);
      asset.caption = "counts as a change";
    };
    expect(await written(change, nothing)).toEqual({
      end: "written not_published",
      isPublic: false,
    });
  });

  test.each([403, 422, 429, 503])(
    "what may not be published (%i) is saved, and says so",
    async (status) => {
      const refuse = ({ cms }: Flow) => cms.failNext("other", { status });
      expect(await written(publish, refuse)).toEqual({
        end: "written not_published",
        isPublic: false,
      });
    },
  );

  test("what somebody changes between our save and our publishing is left to them", async () => {
    const edit = ({ cms }: Flow, asset: FakeAsset) =>
      cms.before("other", 1, () => (asset.caption = "counts as a change"));
    expect(await written(publish, edit)).toEqual({
      end: "written not_published",
      isPublic: false,
    });
  });
});

test("accepted and undone beside changes of others, nothing of theirs is published", async () => {
  const flow = await cmsFlow(fakeContentful, { mode: "suggest" });
  const asset = flow.cms.add({ bytes: picture });
  publish(asset);
  asset.caption = "counts as a change";
  await flow.tell("created", asset);
  const [open] = await flow.open();
  if (open === undefined) throw new Error("there is a suggestion");
  const accepted = await flow.accept(open);
  expect([accepted.state, asset.alt]).toEqual(["written", accepted.ours.alt]);
  const undone = await flow.undo(accepted);
  expect([undone.state, asset.alt, keptOf(asset).published]).toEqual(["undone", null, 1]);
});

test("a file that is still processed is looked at again; an archived asset is none", async () => {
  const flow = await cmsFlow(fakeContentful);
  const [early, archived] = [1, 2].map(() => flow.cms.add({ bytes: picture })) as [
    FakeAsset,
    FakeAsset,
  ];
  keptOf(early).isProcessed = false;
  keptOf(archived).isArchived = true;
  for (const asset of [early, archived]) await flow.tell("created", asset);
  expect(await flow.ends(early, archived)).toEqual(["queued cms_not_ready", "skipped asset_gone"]);
  keptOf(early).isProcessed = true;
  await flow.pass(60_000);
  expect(await flow.ends(early)).toEqual(["written null"]);
});

test.each(["https://api.contentful.com", "https://api.contentful.com/spaces/s1"])(
  "a connection to %s is refused: it names no environment",
  async (base) => {
    const made = cmsFlow(fakeContentful, { base_url: base });
    await expect(made).rejects.toMatchObject({ code: "invalid_request" });
  },
);
