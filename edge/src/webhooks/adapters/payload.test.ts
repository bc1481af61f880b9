// Payload: its fields are the site's own, so what they may hold is nobody's to know.
import { expect, test } from "vitest";
import { testAdapter } from "../../../../test/support/adapter-suite.ts";
import { cmsFlow, wordsFor } from "../../../../test/support/cms-flow.ts";
import { fakePayload } from "../../../../test/support/fake-payload.ts";

testAdapter(fakePayload);

const bytes = Buffer.from("a picture");
const tagged = { fields: { tags: "tags" } };

test("tags are written where the connection names their field", async () => {
  const flow = await cmsFlow(fakePayload, tagged);
  const asset = flow.cms.add({ bytes });
  await flow.tell("created", asset);
  expect(asset.tags).toEqual(wordsFor(bytes, { tags: "tags" }).tags);
});

test("a field that holds anything but plain text is left alone", async () => {
  const flow = await cmsFlow(fakePayload, { fields: { caption: "caption", tags: "tags" } });
  const asset = flow.cms.add({ bytes });
  // Rich text, and tags that are rows.
  Object.assign(asset, { caption: { root: { children: [] } }, tags: [{ tag: "one" }] });
  const before = structuredClone([asset.caption, asset.tags]);
  await flow.tell("created", asset);
  expect(await flow.ends(asset)).toEqual(["written null"]);
  expect(asset.alt).toBe(wordsFor(bytes, { alt: "alt" }).alt);
  expect([asset.caption, asset.tags]).toEqual(before);
});

test("a field that the collection does not have is no success", async () => {
  const flow = await cmsFlow(fakePayload);
  const asset = flow.cms.add({ bytes });
  const written = { id: Number(asset.id), updatedAt: "2026-11-30T08:00:00.000Z" };
  flow.cms.failNext("write", { status: 200, body: { docs: [written], errors: [] } });
  await flow.tell("created", asset);
  expect(await flow.ends(asset)).toEqual(["failed cms_unexpected"]);
});

test("a document that an editor has open is asked for again", async () => {
  const flow = await cmsFlow(fakePayload);
  const asset = flow.cms.add({ bytes });
  const message = "Document with ID 1 is currently locked by another user and cannot be updated.";
  const body = { docs: [], errors: [{ id: 1, isPublic: true, message }], message: "Unable." };
  flow.cms.failNext("write", { status: 400, body });
  await flow.tell("created", asset);
  expect(await flow.ends(asset)).toEqual(["queued cms_error"]);
  expect(flow.lines.join("\n")).toContain("locked by another user");
  await flow.pass(60_000);
  expect([...(await flow.ends(asset)), flow.cms.writes(asset.id)]).toEqual(["written null", 1]);
});

test("an address without this API is no collection without this picture", async () => {
  const flow = await cmsFlow(fakePayload);
  const asset = flow.cms.add({ bytes });
  flow.cms.failNext("read", { status: 404, body: { message: "Route not found" } });
  await flow.tell("created", asset);
  expect(await flow.ends(asset)).toEqual(["failed cms_unexpected"]);
});

test("a key of another collection of users is sent as it is given", async () => {
  const flow = await cmsFlow(fakePayload, { token: "robots API-Key 0123456789" });
  const asset = flow.cms.add({ bytes });
  await flow.tell("created", asset);
  const [read] = flow.asked;
  expect(read?.headers.get("authorization")).toBe("robots API-Key 0123456789");
});
