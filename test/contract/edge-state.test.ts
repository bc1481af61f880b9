// What survives a restart of the Worker: keys, results, pixels, the catalogue.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { startEdge } from "../support/edge.ts";
import { png } from "../support/pictures.ts";

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

test("a restarted Worker knows its keys, answers from its cache while no node runs, and has the pixels", async () => {
  const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-edge-"));
  folders.push(stateDir);
  const picture = await png(42);

  const first = await startEdge({ stateDir });
  const answer = await first.upload("/v1/caption", picture);
  expect(answer.status).toBe(200);
  const body = (await answer.json()) as { image_id: string };
  await first.stop();

  const second = await startEdge({ stateDir });
  try {
    await second.node.down();
    const again = await second.upload("/v1/caption", picture, undefined, first.ada);
    expect(again.status).toBe(200);
    expect(again.headers.get("cache-status")).toBe("blip2-edge; hit");
    expect(again.headers.get("etag")).toBe(answer.headers.get("etag"));
    await second.node.up();
    const image = { image_id: body.image_id };
    const byId = await second.json("/v1/caption", { image, prompt: "new" }, first.ada);
    expect(byId.status).toBe(200);
    expect(second.node.asked.map(({ withPixels }) => withPixels)).toEqual([false, true]);
  } finally {
    await second.stop();
  }
});
