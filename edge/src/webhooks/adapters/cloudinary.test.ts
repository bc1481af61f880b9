// Signatures made and judged by the vendor's own package (cloudinary, the version in package.json).
import { createHash } from "node:crypto";
import { v2 as vendor } from "cloudinary";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { testAdapter } from "../../../../test/support/adapter-suite.ts";
import { fakeCloudinary, readContext } from "../../../../test/support/fake-cloudinary.ts";
import { scriptedCms } from "../../../../test/support/scripted-cms.ts";
import { cloudinary } from "./cloudinary.ts";

testAdapter(fakeCloudinary);

const nowMs = Date.UTC(2026, 10, 23, 7, 20);
const at = nowMs / 1000;
const [secret, older] = ["s3cr3t_of-the-environment_1", "s3cr3t_of-the-environment_0"] as const;
const assetId = "b5e6d2b39ba3e0869d67141ba7dba6cf";
/** As the page on notifications shows an upload, and as one arrives. */
const uploaded = {
  ...{ notification_type: "upload", timestamp: "2026-11-23T07:19:59+00:00", request_id: "r" },
  ...{ asset_id: assetId, public_id: "site/summer/lamp", version: 1_795_418_399, width: 864 },
  ...{ height: 576, format: "jpg", resource_type: "image", created_at: "2026-11-23T07:19:59Z" },
  ...{ tags: [], bytes: 120_253, type: "upload", etag: "1e9a", placeholder: false },
  url: "http://res.cloudinary.com/demo/image/upload/v1795418399/site/summer/lamp.jpg",
  secure_url: "https://res.cloudinary.com/demo/image/upload/v1795418399/site/summer/lamp.jpg",
  ...{ signature_key: "1234", notification_context: { triggered_by: { source: "ui" } } },
};
const notice = { event: "upload", assetId, version: "1795418399-120253" };
const said = (
  sent: unknown,
  headers: Record<string, string>,
  secrets: readonly string[] = [secret, older],
) =>
  cloudinary.verify(
    {
      url: new URL("https://edge.example/v1/webhooks/con_1"),
      headers: new Headers(headers),
      body: new TextEncoder().encode(typeof sent === "string" ? sent : JSON.stringify(sent)),
    },
    secrets,
    nowMs,
  );

describe.each(["sha1", "sha256"] as const)("signed with %s", (algorithm) => {
  const body = JSON.stringify(uploaded);
  const options = { api_secret: secret, signature_algorithm: algorithm };
  const signature = vendor.utils.webhook_signature(body, at, options);
  const headers = { "x-cld-timestamp": String(at), "x-cld-signature": signature };

  test("what the package signs is believed, and by the secret before", async () => {
    vendor.config({ ...options, secure: true });
    expect(vendor.utils.verifyNotificationSignature(body, at, signature, 1e9)).toBe(true);
    expect(await said(body, headers)).toEqual([notice]);
    expect(await said(body, headers, ["a secret that is newer yet", secret])).toEqual([notice]);
  });

  test("what the package refuses is refused", async () => {
    vendor.config({ ...options, secure: true });
    for (const [sent, given] of [
      [body.replace("864", "865"), signature],
      [body, signature.replace(/^./, (digit) => (digit === "0" ? "1" : "0"))],
      [body, createHash(algorithm).update(body).digest("hex")],
    ] as const) {
      expect(vendor.utils.verifyNotificationSignature(sent, at, given, 1e9)).toBe(false);
      const refused = said(sent, { ...headers, "x-cld-signature": given });
      await expect(refused).rejects.toMatchObject({ code: "signature_invalid" });
    }
  });

  test("the bytes of a text in any script are what is signed", async () => {
    const sent = JSON.stringify({ ...uploaded, display_name: "Лампа ☀" });
    const signed = vendor.utils.webhook_signature(sent, at, options);
    expect(signed).toBe(createHash(algorithm).update(`${sent}${at}${secret}`).digest("hex"));
    expect(await said(sent, { ...headers, "x-cld-signature": signed })).toEqual([notice]);
  });
});

const sign = (sent: object) => ({
  "x-cld-timestamp": String(at),
  "x-cld-signature": vendor.utils.webhook_signature(JSON.stringify(sent), at, {
    ...{ api_secret: secret, signature_algorithm: "sha1" },
  }),
});

test.each<[string, object, object]>([
  ["a video", { ...uploaded, resource_type: "video" }, { assetId, skip: "not_an_image" }],
  ["another event", { ...uploaded, notification_type: "eager" }, { skip: "unknown_event" }],
  ["an upload of nothing", { notification_type: "upload" }, { skip: "not_understood" }],
  ["nothing that is known", { hello: 1 }, { event: "unknown", skip: "not_understood" }],
])("%s is told as that", async (_, sent, told) => {
  expect(await said(sent, sign(sent))).toMatchObject([told]);
});

const targets = { alt: "alt", caption: "caption", tags: "tags" };
const row = { ...uploaded, context: { custom: { alt: "A lamp", credit: "Ada" } }, tags: ["lamp"] };
const asset = async () => {
  const found = await cloudinary.read(scriptedCms(targets, { body: row }), assetId);
  if (found === undefined) throw new Error("it is there");
  return found;
};

test("whatever words hold, Cloudinary reads those words", async () => {
  const written = await asset();
  await fc.assert(
    fc.asyncProperty(fc.string(), fc.string(), async (alt, caption) => {
      const done = { body: { public_ids: [uploaded.public_id] } };
      const cms = scriptedCms(targets, done);
      expect(await cloudinary.write(cms, written, { alt, caption })).toBe("written");
      const context = cms.asked[0]?.form?.get("context");
      if (typeof context !== "string") throw new Error("a context is sent");
      expect([...readContext(context)]).toEqual(Object.entries({ alt, caption }));
    }),
  );
});

test("undone tags are taken away, and an undone text is a key that goes", async () => {
  const done = { body: { public_ids: [uploaded.public_id] } };
  const cms = scriptedCms(targets, done, done);
  await cloudinary.write(cms, await asset(), { alt: null, tags: null });
  expect(cms.asked.map(({ path, form }) => [path, Object.fromEntries(form ?? [])])).toEqual([
    [
      "/image/context",
      { "public_ids[]": uploaded.public_id, type: "upload", command: "add", context: "alt=" },
    ],
    ["/image/tags", { "public_ids[]": uploaded.public_id, type: "upload", command: "remove_all" }],
  ]);
});

test("what may not be written is the token's fault; what is passed over is gone", async () => {
  const words = { alt: "A lamp" };
  const unauthorized = { body: { public_ids: [], unauthorized: [uploaded.public_id] } };
  const refused = cloudinary.write(scriptedCms(targets, unauthorized), await asset(), words);
  await expect(refused).rejects.toMatchObject({ code: "token_refused" });
  const none = scriptedCms(targets, { body: { public_ids: [] } });
  expect(await cloudinary.write(none, await asset(), words)).toBe("gone");
});

test("an hour whose calls are used up is waited for", async () => {
  const reset = new Date(Date.now() + 600_000).toUTCString();
  const full = { status: 420, headers: { "X-FeatureRateLimit-Reset": reset } };
  const asked = cloudinary.read(scriptedCms(targets, full), assetId);
  await expect(asked).rejects.toSatisfy(
    (fault: { code: string; retryAfterS: number }) =>
      fault.code === "cms_busy" && fault.retryAfterS > 590 && fault.retryAfterS <= 600,
  );
});

test("a cursor that no longer holds ends the sweep's round, and an error without one is an error", async () => {
  expect(await cloudinary.listUntitled(scriptedCms(targets, 400), "old")).toEqual({ assets: [] });
  const first = cloudinary.listUntitled(scriptedCms(targets, 400), undefined);
  await expect(first).rejects.toMatchObject({ code: "cms_unexpected" });
});

test("an asset is read with its type, and a document is no picture", async () => {
  expect(await asset()).toMatchObject({
    ...{ id: assetId, version: notice.version, mimeType: "image/jpeg", fileName: "lamp.jpg" },
    words: { alt: "A lamp", caption: null, tags: ["lamp"] },
  });
  for (const [format, type] of [
    ["pdf", "application/pdf"],
    ["svg", "image/svg"],
    ["webp", "image/webp"],
  ]) {
    const cms = scriptedCms(targets, { body: { ...row, format } });
    expect((await cloudinary.read(cms, assetId))?.mimeType).toBe(type);
  }
  expect(await cloudinary.read(scriptedCms(targets), "../usage")).toBeUndefined();
});
