// Pictures that are known by their file or address, and whose pixels neither the node nor the store has any more.
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startFakeNode, type FakeNode } from "../support/fake-node.ts";
import { testCodecModules } from "../support/image-codecs.ts";
import { png } from "../support/pictures.ts";
import { workerInProcess } from "../support/worker-in-process.ts";

vi.mock("../../edge/src/images/codecs.ts", () => ({ codecModules: testCodecModules }));

const host = "10.0.0.9:80";
let node: FakeNode;
beforeAll(async () => {
  node = await startFakeNode();
});
afterAll(() => node?.stop());

test("a URL is read again within the request; a file is asked for once, and then taken", async () => {
  const file = new Uint8Array(await png(300));
  const answer = () => new Response(file, { headers: { "cache-control": "max-age=60" } });
  const worker = await workerInProcess({ node, origin: { host, answer } });
  const authorization = `Bearer ${await worker.keyOf("ada")}`;
  const byUrl = (prompt: string) =>
    worker.fetch("/v1/caption", {
      method: "POST",
      headers: { authorization, "content-type": "application/json" },
      body: JSON.stringify({ image: { url: `http://${host}/a.png` }, prompt }),
    });
  const upload = (prompt: string) => {
    const body = new FormData();
    body.set("image", new Blob([file]), "picture");
    body.set("request", JSON.stringify({ prompt }));
    return worker.fetch("/v1/caption", { method: "POST", headers: { authorization }, body });
  };
  const lose = (): void => {
    node.forgetPixels();
    worker.loseObjects();
  };
  for (const ask of [byUrl, upload]) expect((await ask("first")).status).toBe(200);

  lose();
  worker.calls();
  expect((await byUrl("second")).status).toBe(200);
  expect(worker.calls()).toEqual(expect.arrayContaining(["fetch", "r2 put"]));
  expect((await byUrl("third")).status).toBe(200);
  expect(worker.calls()).not.toContain("fetch");

  lose();
  const gone = await upload("fourth");
  expect(gone.status).toBe(410);
  expect(await gone.json()).toMatchObject({ code: "image_pixels_gone" });
  expect((await upload("fourth")).status).toBe(200);
  // What was known of it before is answered either way.
  lose();
  for (const ask of [byUrl, upload]) expect((await ask("first")).status).toBe(200);
});
