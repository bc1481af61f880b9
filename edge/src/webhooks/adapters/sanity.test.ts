// Sanity: the suite of adapters, and what only Sanity has. Signatures are made by Sanity's own package, @sanity/webhook;
// queries are evaluated by its own groq-js; nothing here was captured from the hosted service.
import { encodeSignatureHeader, isValidSignature } from "@sanity/webhook";
import { describe, expect, test } from "vitest";
import { testAdapter } from "../../../../test/support/adapter-suite.ts";
import { cmsFlow } from "../../../../test/support/cms-flow.ts";
import { fakeSanity } from "../../../../test/support/fake-sanity.ts";
import { sanity } from "./sanity.ts";

testAdapter(fakeSanity);

const now = Date.UTC(2026, 10, 30, 7, 20);
const id = "image-da994d9e87efb226111cb83dbbab832d45b1365e-1500x750-jpg";
const upload = { _id: id, _type: "sanity.imageAsset", mimeType: "image/jpeg" };
const secret = "a secret of the tests";

function verify(signature: string, body: string, headers: Record<string, string> = {}) {
  const hook = {
    url: new URL("https://edge.example/v1/webhooks/con_1"),
    headers: new Headers({ "sanity-webhook-signature": signature, ...headers }),
    body: new TextEncoder().encode(body),
  };
  return sanity.verify(hook, ["another secret of the tests", secret], now);
}
const signedBy = (body: string, at = now) => encodeSignatureHeader(body, at, secret);

describe("@sanity/webhook", () => {
  const body = JSON.stringify({ ...upload, title: "Ein schöner Löwe" });
  const notice = { event: "create", assetId: id, version: id };

  test("what it signs is believed, however its parts are separated", async () => {
    const signature = await signedBy(body);
    for (const separator of [",", ", ", " "]) {
      const sent = signature.replace(",", separator);
      expect(await verify(sent, body, { "sanity-operation": "create" })).toEqual([notice]);
    }
    expect(
      await verify(signature, body, { "sanity-operation": "create", "idempotency-key": "key-1" }),
    ).toEqual([{ ...notice, deliveryId: "key-1" }]);
  });

  test("believes what the stand-in signs", async () => {
    const asset = {
      ...{ id, name: "a.png", mime: "image/png", bytes: Buffer.alloc(1), uploads: 1 },
      ...{ alt: null, caption: null, tags: null },
    };
    const hook = fakeSanity.hook("created", asset, secret, { path: "/", nowMs: now });
    const signature = hook?.headers["sanity-webhook-signature"] ?? "";
    expect(await isValidSignature(hook?.body ?? "", signature, secret)).toBe(true);
    expect(await isValidSignature(hook?.body ?? "", signature, `${secret}.`)).toBe(false);
  });

  test("another time, body, version or form of what it signed is refused", async () => {
    const signature = await signedBy(body);
    const [time = "", proof = ""] = signature.split(",");
    for (const sent of [
      `t=${now + 1},${proof}`,
      `${time},${proof.replace("v1=", "v2=")}`,
      `${time},${proof.toUpperCase()}`,
      `${time},${proof}=`,
      proof,
      time,
      `${proof},${time}`,
    ]) {
      await expect(verify(sent, body), sent).rejects.toMatchObject({ code: "signature_invalid" });
    }
    const other = verify(signature, body.replace("Löwe", "Lowe"));
    await expect(other).rejects.toMatchObject({ code: "signature_invalid" });
  });
});

test.each<[unknown, string | undefined]>([
  [{ _id: id }, undefined],
  [{ _id: id, _type: null, mimeType: null }, undefined],
  [{ ...upload, mimeType: "text/html" }, "not_an_image"],
  [{ ...upload, _type: "sanity.fileAsset" }, "not_an_image"],
  [{ ...upload, _type: "post" }, "unknown_event"],
  [{ ...upload, _id: `drafts.${id}` }, "unknown_event"],
  [{ ...upload, _id: `versions.release.${id}` }, "unknown_event"],
  [{ title: "a projection without the id" }, "not_understood"],
  [null, "not_understood"],
  ["a text", "not_understood"],
])("%j is told as %s", async (said, skip) => {
  const body = JSON.stringify(said);
  const [notice] = await verify(await signedBy(body), body);
  expect(notice?.skip).toBe(skip);
});

test.each([
  "https://p1.api.sanity.io",
  "https://p1.api.sanity.io/v2025-02-19/data/query/production",
])("a connection to %s is refused: it names no dataset", async (base) => {
  const made = cmsFlow(fakeSanity, { base_url: base });
  await expect(made).rejects.toMatchObject({ code: "invalid_request" });
});

test("two kinds of words in one field are refused", async () => {
  const made = cmsFlow(fakeSanity, { fields: { alt: "description", caption: "description" } });
  await expect(made).rejects.toMatchObject({ code: "invalid_request" });
});

test("alt text may go to the description instead, and then that is what counts", async () => {
  const flow = await cmsFlow(fakeSanity, { fields: { alt: "description" } });
  const plain = flow.cms.add({ bytes: Buffer.from("a picture"), alt: "Of the other field" });
  const titled = flow.cms.add({ bytes: Buffer.from("another"), caption: "By a human" });
  for (const asset of [plain, titled]) await flow.tell("created", asset);
  expect(await flow.ends(plain, titled)).toEqual(["written null", "skipped has_words"]);
  expect([plain.alt, titled.caption]).toEqual(["Of the other field", "By a human"]);
  expect(plain.caption).toMatch(/^Picture /);
});
