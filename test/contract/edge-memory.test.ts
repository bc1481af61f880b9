// What one isolate holds of pictures under twenty large uploads at once: its own account, which has a
// bound, and what the process really takes (on Linux), bounded loosely.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startEdge, type Edge } from "../support/edge.ts";
import { drawnPhoto } from "../support/photos.ts";

const budgetBytes = 112 * 1024 * 1024;
let edge: Edge;
let photo: Uint8Array;
beforeAll(async () => {
  edge = await startEdge({ vars: { PICTURE_WAIT_MS: "55000", REQUEST_TIMEOUT_MS: "58000" } });
  // Gradients with some noise, as a camera makes them.
  photo = await drawnPhoto((_x, y, _channel, random) => (y & 127) + random / 8, [4000, 3000]);
});
afterAll(() => edge?.stop());

const rssBytes = (): number =>
  edge.worker.pids().reduce((sum, { pid }) => {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return sum + Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  }, 0);

test("twenty uploads of 12 megapixels at once stay within the memory of one isolate", async () => {
  const isLinux = process.platform === "linux";
  await edge.upload("/v1/caption", photo.slice(0, 1000));
  const before = isLinux ? rssBytes() : 0;
  const responses = await Promise.all(
    Array.from({ length: 20 }, (_, index) => {
      // Each another file of the same picture: what follows the end marker is not read.
      const file = Buffer.concat([photo, Buffer.from([index])]);
      return edge.upload("/v1/caption", file, { prompt: `${index}` });
    }),
  );
  const statuses = responses.map(({ status }) => status);
  await Promise.all(responses.map((response) => response.arrayBuffer()));
  const high = Math.max(...edge.events.map((event) => Number(event["image_memory_high"] ?? 0)));
  const growth = isLinux ? rssBytes() - before : 0;
  console.log(
    `20 uploads of ${(photo.length / 1e6).toFixed(1)} MB: ${high} bytes accounted at most, RSS grew by ${growth}`,
  );
  expect(statuses).toEqual(Array.from({ length: 20 }, () => 200));
  expect(high).toBeLessThanOrEqual(budgetBytes);
  expect(high).toBeGreaterThan(4000 * 3000 * 4);
  // workerd collects garbage when it likes, and production's limit is not enforced here.
  expect(growth).toBeLessThan(450e6);
});
