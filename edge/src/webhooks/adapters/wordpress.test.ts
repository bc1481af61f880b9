// WordPress with our plugin and with core alone; what core answers that another CMS does not.
import { describe, expect, test } from "vitest";
import { testAdapter } from "../../../../test/support/adapter-suite.ts";
import { cmsFlow } from "../../../../test/support/cms-flow.ts";
import { fakeBareWordpress, fakeWordpress } from "../../../../test/support/fake-wordpress.ts";

describe("with the plugin", () => testAdapter(fakeWordpress));
describe("with core alone", () => testAdapter(fakeBareWordpress));

const bytes = Buffer.from("a picture");

test("a site without this API, or with another one there, is no site without this picture", async () => {
  for (const answer of [
    { status: 404, body: { code: "rest_no_route", message: "No route was found." } },
    { status: 404, body: "<html>Not found</html>" },
  ]) {
    const flow = await cmsFlow(fakeWordpress);
    const asset = flow.cms.add({ bytes });
    flow.cms.failNext("read", answer);
    await flow.tell("created", asset);
    expect(await flow.ends(asset)).toEqual(["failed cms_unexpected"]);
  }
});

test("a picture in the trash is gone", async () => {
  const flow = await cmsFlow(fakeWordpress);
  const asset = flow.cms.add({ bytes });
  const media = { id: Number(asset.id), status: "trash", source_url: "/x.png", alt_text: "" };
  flow.cms.failNext("read", { status: 200, body: { ...media, media_details: {} } });
  await flow.tell("created", asset);
  expect(await flow.ends(asset)).toEqual(["skipped asset_gone"]);
});

test("the description can be written in the caption's place", async () => {
  const flow = await cmsFlow(fakeWordpress, { fields: { caption: "description" } });
  const { adapter, cms } = await flow.connected();
  const { id } = flow.cms.add({ bytes, caption: "Of the caption" });
  const asset = await adapter.read(cms, id);
  expect(asset?.words).toEqual({ alt: "", caption: "" });
});

test("the password is not sent for an upload, which is public", async () => {
  const flow = await cmsFlow(fakeWordpress);
  await flow.tell("created", flow.cms.add({ bytes }));
  const [file] = flow.asked.filter(({ url }) => url.pathname.startsWith("/wp-content/"));
  expect(file?.headers.has("authorization")).toBe(false);
});
