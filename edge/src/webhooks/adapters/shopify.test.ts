// The first vector was made with the vendor's own package (@shopify/shopify-api 15.0.0: createSHA256HMAC) and judged by it
// (webhooks.validate), the good one and the bad ones; it is copied here, since the package weighs 33 MB. The second is RFC
// 4231's. All others follow the rule of Shopify's page on verifying deliveries: HMAC-SHA256 of the raw body, in base64.
import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { testAdapter } from "../../../../test/support/adapter-suite.ts";
import { fakeShopify } from "../../../../test/support/fake-shopify.ts";
import { scriptedCms } from "../../../../test/support/scripted-cms.ts";
import { shopify } from "./shopify.ts";

testAdapter(fakeShopify);

const secret = "shpss_0123456789abcdef0123456789abcdef";
const sign = (body: string, key = secret): string =>
  createHmac("sha256", key).update(body, "utf8").digest("base64");
const said = (
  body: string,
  signature: string,
  { secrets = [secret], topic = "products/update" }: { secrets?: string[]; topic?: string } = {},
) =>
  shopify.verify(
    {
      url: new URL("https://edge.example/v1/webhooks/con_1"),
      headers: new Headers({
        ...{ "x-shopify-hmac-sha256": signature, "x-shopify-topic": topic },
        "x-shopify-webhook-id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
      }),
      body: new TextEncoder().encode(body),
    },
    secrets,
    0,
  );
const delivery = { event: "products/update", deliveryId: "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043" };

test("what the package signed is believed, what it refused is refused", async () => {
  const body =
    '{"id":788032119,"title":"Лампа ☀","media":[{"id":13,"alt":null,"admin_graphql_api_id":"gid://shopify/MediaImage/13","preview_image":{"src":"https://cdn.shopify.com/s/files/1/1/files/back.jpg?v=3"}}]}';
  const good = "Zy1qk7XgiqZUDPQoWvIs+7WzXyv9FsmgCGeFnho1aJw=";
  const told = [{ ...delivery, assetId: "gid://shopify/MediaImage/13", version: "3-back.jpg" }];
  expect(await said(body, good)).toEqual(told);
  expect(await said(body, good, { secrets: ["shpss_that_is_newer_than_this", secret] })).toEqual(
    told,
  );
  for (const [sent, signature] of [
    [`${body} `, good],
    [body, good.replace(/^./, "A")],
    [body, Buffer.from(good, "base64").toString("hex")],
    [body, ""],
  ] as const) {
    await expect(said(sent, signature)).rejects.toMatchObject({ code: "signature_invalid" });
  }
});

test("RFC 4231, case 2: believed, and no other", async () => {
  const text = "what do ya want for nothing?";
  const hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
  const digest = Buffer.from(hex, "hex").toString("base64");
  expect(await said(text, digest, { secrets: ["another", "Jefe"] })).toEqual([
    { ...delivery, skip: "not_understood" },
  ]);
  for (const [body, signature, key] of [
    [`${text} `, digest, "Jefe"],
    [text, digest, "jefe"],
    [text, hex, "Jefe"],
    [text, digest.replace(/=$/, ""), "Jefe"],
  ] as const) {
    await expect(said(body, signature, { secrets: [key] })).rejects.toMatchObject({
      code: "signature_invalid",
    });
  }
});

const urlOf = (name: string, v: number): string =>
  `https://cdn.shopify.com/s/files/1/0001/0002/files/${name}?v=${v}`;
const medium = (kind: string, id: number, alt: string | null, src: string | null) => ({
  ...{ id, product_id: 1, alt, status: "READY", media_content_type: "IMAGE", variant_ids: [] },
  preview_image: src === null ? null : { width: 64, height: 64, src, status: "READY" },
  admin_graphql_api_id: `gid://shopify/${kind}/${id}`,
});

test("a product is a notice for each of its pictures, those without words first; of a video one row is enough", async () => {
  const body = JSON.stringify({
    ...{ id: 1, title: "Лампа", admin_graphql_api_id: "gid://shopify/Product/1" },
    media: [
      medium("MediaImage", 11, "By a human", urlOf("front.jpg", 1)),
      medium("Video", 12, null, urlOf("film.jpg", 2)),
      medium("MediaImage", 13, null, urlOf("back.jpg", 3)),
      medium("MediaImage", 14, "", null),
    ],
  });
  const film = "gid://shopify/Video/12";
  expect(await said(body, sign(body))).toEqual([
    { ...delivery, deliveryId: film, assetId: film, skip: "not_an_image" },
    { ...delivery, assetId: "gid://shopify/MediaImage/13", version: "3-back.jpg" },
    { ...delivery, assetId: "gid://shopify/MediaImage/14" },
    { ...delivery, assetId: "gid://shopify/MediaImage/11", version: "1-front.jpg" },
  ]);
});

test.each([
  ["no pictures is nothing", "products/create", { id: 1, media: [] }, []],
  ["no media is of an API that is too old", "products/create", { id: 1 }, ["not_understood"]],
  ["another topic", "orders/create", { id: 1 }, ["unknown_event"]],
])("%s", async (_, topic, payload, skips) => {
  const body = JSON.stringify(payload);
  const notices = await said(body, sign(body), { topic });
  expect(notices.map(({ skip }) => skip)).toEqual(skips);
});

const targets = { alt: "alt" };
const id = "gid://shopify/MediaImage/13";
const node = {
  ...{ __typename: "MediaImage", id, alt: null, fileStatus: "READY", mimeType: "image/jpeg" },
  image: { url: urlOf("back.jpg", 3) },
};
const read = (body: object) => shopify.read(scriptedCms(targets, { body }), id);
const refusal = (code: string, more: object = {}) => ({
  ...{ errors: [{ message: "no", extensions: { code } }], ...more },
});

test("a picture is read by its id, and what is none is not there", async () => {
  expect(await read({ data: { node } })).toMatchObject({
    ...{ id, version: "3-back.jpg", mimeType: "image/jpeg", fileName: "back.jpg" },
    words: { alt: null },
  });
  expect(await read({ data: { node: null } })).toBeUndefined();
  expect(await read({ data: { node: { __typename: "GenericFile" } } })).toBeUndefined();
  expect(await shopify.read(scriptedCms(targets), "gid://shopify/Order/1")).toBeUndefined();
});

test("with status 200 it is refused, asked to wait, or not ready, as the answer says", async () => {
  const cost = {
    requestedQueryCost: 52,
    throttleStatus: { maximumAvailable: 2000, currentlyAvailable: 2, restoreRate: 10 },
  };
  for (const [body, fault] of [
    [refusal("THROTTLED", { extensions: { cost } }), { code: "cms_busy", retryAfterS: 5 }],
    [refusal("THROTTLED"), { code: "cms_busy", retryAfterS: 1 }],
    [refusal("ACCESS_DENIED"), { code: "token_refused" }],
    [refusal("INTERNAL_SERVER_ERROR"), { code: "cms_error" }],
    [refusal("MAX_COST_EXCEEDED"), { code: "cms_unexpected" }],
    [{ errors: [{ message: "Field 'x' doesn't exist" }] }, { code: "cms_unexpected" }],
    [{ data: { node: { ...node, image: undefined, fileStatus: 1 } } }, { code: "cms_unexpected" }],
    [{ data: {} }, { code: "cms_unexpected" }],
    [
      { data: { node: { ...node, image: null, fileStatus: "PROCESSING" } } },
      { code: "cms_not_ready", again: true },
    ],
    [
      { data: { node: { ...node, image: null, fileStatus: "FAILED" } } },
      { code: "cms_file_failed", again: false },
    ],
  ] as const) {
    await expect(read(body), JSON.stringify(body)).rejects.toMatchObject(fault);
  }
});

test("a write is one when the answer brings the words", async () => {
  const asset = await read({ data: { node } });
  if (asset === undefined) throw new Error("it is there");
  const write = (fileUpdate: object) => {
    const cms = scriptedCms(targets, { body: { data: { fileUpdate } } });
    return shopify.write(cms, asset, { alt: "A lamp" });
  };
  const failed = (code: string) =>
    write({ files: [], userErrors: [{ code, field: ["files"], message: "no" }] });
  const done = (alt: string) => write({ files: [{ id, alt }], userErrors: [] });
  expect(await done("A lamp")).toBe("written");
  expect(await failed("FILE_DOES_NOT_EXIST")).toBe("gone");
  await expect(failed("NON_READY_STATE")).rejects.toMatchObject({ code: "cms_not_ready" });
  await expect(failed("ALT_VALUE_LIMIT_EXCEEDED")).rejects.toMatchObject({
    code: "cms_unexpected",
  });
  await expect(done("Something else")).rejects.toMatchObject({ code: "cms_unexpected" });
});

test("undone, the text is empty", async () => {
  const answer = { body: { data: { fileUpdate: { files: [{ id, alt: "" }], userErrors: [] } } } };
  const cms = scriptedCms(targets, { body: { data: { node } } }, answer);
  const asset = await shopify.read(cms, id);
  if (asset === undefined) throw new Error("it is there");
  expect(await shopify.write(cms, asset, { alt: null })).toBe("written");
  expect(cms.asked[1]?.json).toMatchObject({ variables: { id, alt: "" } });
});
