import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encodeSafetensors, writeSafetensors } from "./safetensors-file.ts";
import { floatTensor } from "./tensor.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "safetensors-"));
});
afterEach(() => rm(folder, { recursive: true }));

const tensors = {
  one: floatTensor(Float32Array.of(1.5, -2, 3), [3]),
  zwei: floatTensor(Float32Array.of(0.25, 4), [1, 2, 1]),
};

test("the header names type, shape and place; the data follows in float32 little endian", () => {
  const bytes = encodeSafetensors(tensors);
  const view = new DataView(bytes.buffer);
  const headerBytes = Number(view.getBigUint64(0, true));
  const header: unknown = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes)));
  expect(headerBytes % 8).toBe(0);
  expect(header).toEqual({
    one: { dtype: "F32", shape: [3], data_offsets: [0, 12] },
    zwei: { dtype: "F32", shape: [1, 2, 1], data_offsets: [12, 20] },
  });
  expect(view.getFloat32(8 + headerBytes + 4, true)).toBe(-2);
  expect(view.getFloat32(8 + headerBytes + 16, true)).toBe(4);
  expect(bytes.length).toBe(8 + headerBytes + 20);
});

test("a written file is whole and leaves nothing beside it", async () => {
  const path = join(folder, "trace.safetensors");
  await writeSafetensors(path, tensors);
  expect(new Uint8Array(await readFile(path))).toEqual(encodeSafetensors(tensors));
  expect(await readdir(folder)).toEqual(["trace.safetensors"]);
});

test("a failed write leaves nothing", async () => {
  const gone = AbortSignal.abort();
  await expect(writeSafetensors(join(folder, "a"), tensors, gone)).rejects.toThrow();
  expect(await readdir(folder)).toEqual([]);
});
