// What each adapter believes: signatures made by the specification's own package, secrets in headers, payloads as
// the real CMSs sent them.
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import type { Adapter } from "../adapter.ts";
import { directus } from "./directus.ts";
import { standard } from "./standard.ts";
import { strapi } from "./strapi.ts";

const now = Date.UTC(2026, 10, 23, 7, 20);
const secrets = ["one", "two", "three"].map(
  (name) => `whsec_${Buffer.from(`the secret that is called ${name}`).toString("base64")}`,
);
const [first = "", second = "", third = ""] = secrets;
const hookOf = (headers: Record<string, string>, body: string) => ({
  url: new URL("https://edge.example/v1/webhooks/con_1"),
  headers: new Headers(headers),
  body: new TextEncoder().encode(body),
});

describe("Standard Webhooks", () => {
  const body = JSON.stringify({
    ...{ type: "asset.created", timestamp: "2026-11-23T07:20:00Z" },
    data: { id: 7, version: "3", mime_type: "image/png" },
  });
  function signed({ secret = first, ageS = 0, id = "msg_1", sent = body } = {}) {
    const at = new Date(now - ageS * 1000);
    return hookOf(
      {
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
        "webhook-signature": new Webhook(secret).sign(id, at, body),
      },
      sent,
    );
  }
  const verify = (hook: ReturnType<typeof signed>, known = [first, second]) =>
    standard.verify(hook, known, now);
  const notice = { event: "asset.created", deliveryId: "msg_1", assetId: "7", version: "3" };

  test.each([
    ["by the secret", {}],
    ["by the one before", { secret: second }],
    ["five minutes old", { ageS: 300 }],
    ["from a clock that is ahead", { ageS: -299 }],
  ])("%s: believed", async (_, how) => {
    expect(await verify(signed(how))).toEqual([notice]);
  });

  test("one good signature among others is enough", async () => {
    const hook = signed();
    const good = hook.headers.get("webhook-signature") ?? "";
    hook.headers.set("webhook-signature", `v1,AAAA v1a,AAAA ${good}`);
    expect(await verify(hook)).toEqual([notice]);
  });

  test.each<[string, ReturnType<typeof signed>]>([
    ["another secret", signed({ secret: third })],
    ["a body that was changed", signed({ sent: body.replace("7", "8") })],
    ["an old one", signed({ ageS: 301 })],
    ["one of the future", signed({ ageS: -301 })],
    ["no headers", hookOf({}, body)],
  ])("%s: refused", async (_, hook) => {
    await expect(verify(hook)).rejects.toMatchObject({ code: "signature_invalid" });
  });

  test.each(["webhook-id", "webhook-timestamp", "webhook-signature"])(
    "without or with another %s: refused",
    async (name) => {
      for (const value of ["", "1", "x"]) {
        const hook = signed();
        hook.headers.set(name, value);
        await expect(verify(hook)).rejects.toMatchObject({ code: "signature_invalid" });
      }
    },
  );

  test.each([
    [{ type: "ping", data: { id: "1" } }, "unknown_event"],
    [{ type: "asset.created", data: { id: "1", mime_type: "text/plain" } }, "not_an_image"],
    [{ type: "asset.created", data: {} }, "not_understood"],
    ["[]", "not_understood"],
  ])("%j is told as %s", async (said, skip) => {
    const sent = typeof said === "string" ? said : JSON.stringify(said);
    const at = new Date(now);
    const hook = hookOf(
      {
        ...{ "webhook-id": "m", "webhook-timestamp": String(now / 1000) },
        "webhook-signature": new Webhook(first).sign("m", at, sent),
      },
      sent,
    );
    expect(await verify(hook)).toMatchObject([{ deliveryId: "m", skip }]);
  });
});

const uploaded = {
  event: "files.upload",
  payload: {
    ...{ storage: "local", title: "Img 4", filename_download: "img-4.jpg", type: "image/jpeg" },
    ...{ filename_disk: "3d0.jpg", filesize: 658, uploaded_on: "2026-11-23T07:16:03.594Z" },
  },
  ...{ key: "5d1cf6e6-0000-4000-8000-000000000001", collection: "directus_files" },
};
const media = {
  ...{ id: 1, documentId: "d", name: "img-1.jpg", alternativeText: null, caption: null },
  ...{ focalPoint: null, width: 320, height: 200, hash: "img_1_37961efbaf", ext: ".jpg" },
  ...{ formats: { thumbnail: { url: "/uploads/thumbnail_img_1_37961efbaf.jpg" } } },
  ...{ mime: "image/jpeg", size: 0.66, url: "/uploads/img_1_37961efbaf.jpg", previewUrl: null },
  ...{ provider: "local", provider_metadata: null, publishedAt: null },
};
const created = { event: "media.create", createdAt: "2026-11-23T07:16:03.594Z", media };

describe.each<[string, Adapter, object, object]>([
  [
    ...(["Directus", directus, uploaded] as const),
    { event: "files.upload", assetId: uploaded.key, version: "1795418163-658" },
  ],
  [
    ...(["Strapi", strapi, created] as const),
    { event: "media.create", assetId: "1", version: "img_1_37961efbaf.jpg-0.66-320x200" },
  ],
])("%s", (_, adapter, payload, notice) => {
  const said = (body: unknown, secret = first) =>
    adapter.verify(
      hookOf({ "x-webhook-secret": secret }, JSON.stringify(body)),
      [first, second],
      now,
    );

  test("its webhook is understood, by either secret", async () => {
    expect(await said(payload)).toEqual([notice]);
    expect(await said(payload, second)).toEqual([notice]);
  });

  test("by another secret, or none, it is refused", async () => {
    for (const secret of [third, "", `x${first}`, first.slice(1)]) {
      await expect(said(payload, secret)).rejects.toMatchObject({ code: "signature_invalid" });
    }
    const bare = adapter.verify(hookOf({}, JSON.stringify(payload)), [first], now);
    await expect(bare).rejects.toMatchObject({ code: "signature_invalid" });
  });

  test("what is no picture, another event or nothing at all is told as that", async () => {
    const text = JSON.parse(JSON.stringify(payload).replace("image/jpeg", "text/plain")) as object;
    expect(await said(text)).toMatchObject([{ skip: "not_an_image" }]);
    expect(await said({ ...payload, event: "entry.create" })).toMatchObject([
      { event: "entry.create", skip: "unknown_event" },
    ]);
    expect(await said([])).toMatchObject([{ skip: "not_understood" }]);
    expect(await said({ hello: 1 })).toMatchObject([{ skip: "not_understood" }]);
  });
});

test("Directus with the whole row as `file` is understood too", async () => {
  const { payload, key } = uploaded;
  const body = JSON.stringify({ event: "files.upload", file: { ...payload, id: key, width: 3 } });
  const hook = hookOf({ "x-webhook-secret": first }, body);
  expect(await directus.verify(hook, [first], now)).toEqual([
    { event: "files.upload", assetId: key, version: "1795418163-658" },
  ]);
});
