import { mkdtemp, rm, truncate, unlink, writeFile, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  float32Tensor,
  withHeader,
  writeTinyCheckpoint,
} from "../../../test/support/tiny-checkpoint.ts";
import { openCheckpoint } from "./open-checkpoint.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "checkpoint-"));
});
afterEach(() => rm(folder, { recursive: true }));

const tensors = new Map(
  ["a", "b", "c", "d"].map((name, at) => [name, float32Tensor([2], Float32Array.of(at, at + 0.5))]),
);
const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const indexPath = () => join(folder, "model.safetensors.index.json");
const editIndex = async (edit: (map: Record<string, string>) => void) => {
  const index = JSON.parse(await readFile(indexPath(), "utf8")) as {
    weight_map: Record<string, string>;
  };
  edit(index.weight_map);
  await writeFile(indexPath(), JSON.stringify(index));
};
const refusal = async (message: RegExp) => {
  const error: unknown = await openCheckpoint(folder).then(
    () => expect.fail("was not refused"),
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(AppError);
  expect(error).toMatchObject({
    code: "checkpoint_invalid",
    detail: expect.stringMatching(message),
  });
};

describe.each([
  ["one file", undefined],
  ["shards", shards],
])("%s", (_, names) => {
  test("every tensor can be read, in pieces", async () => {
    await writeTinyCheckpoint(folder, {
      tensors,
      ...(names === undefined ? {} : { shards: names }),
    });
    const checkpoint = await openCheckpoint(folder);
    try {
      expect([...checkpoint.tensors.keys()].sort()).toEqual(["a", "b", "c", "d"]);
      const entry = checkpoint.tensors.get("c");
      if (entry === undefined) throw new Error("no c");
      const piece = new Uint8Array(4);
      await checkpoint.readInto(entry, 4, piece);
      expect(new DataView(piece.buffer).getFloat32(0, true)).toBe(2.5);
      await expect(checkpoint.readInto(entry, 5, piece)).rejects.toThrow(/outside of tensor c/);
    } finally {
      await checkpoint.close();
    }
  });
});

test("a file that shrinks while it is open is noticed", async () => {
  await writeTinyCheckpoint(folder, { tensors });
  const checkpoint = await openCheckpoint(folder);
  const entry = checkpoint.tensors.get("d");
  if (entry === undefined) throw new Error("no d");
  await truncate(join(folder, "model.safetensors"), entry.offset);
  await expect(checkpoint.readInto(entry, 0, new Uint8Array(8))).rejects.toThrow(/became shorter/);
  await checkpoint.close();
});

describe("refused, naming what is wrong", () => {
  test("a folder that holds no weights", async () => {
    await refusal(/neither model\.safetensors nor model\.safetensors\.index\.json/);
    await writeFile(join(folder, "pytorch_model.bin"), "");
    await refusal(/pickled weights/);
  });

  test("a shard outside of the folder", async () => {
    await writeTinyCheckpoint(folder, { tensors, shards });
    for (const name of [
      "../model.safetensors",
      "/etc/x.safetensors",
      "a\\b.safetensors",
      "passwd",
    ]) {
      await editIndex((map) => (map["a"] = name));
      await refusal(/must be a \.safetensors file in the same folder/);
    }
  });

  test("a shard that is missing", async () => {
    await writeTinyCheckpoint(folder, { tensors, shards });
    await unlink(join(folder, "model-00002-of-00002.safetensors"));
    await refusal(/names model-00002-of-00002\.safetensors, which is not in.*Finish the download/);
  });

  test("a shard that is half downloaded", async () => {
    await writeTinyCheckpoint(folder, { tensors, shards });
    const path = join(folder, "model-00002-of-00002.safetensors");
    await truncate(path, (await readFile(path)).length - 5);
    await refusal(/model-00002-of-00002\.safetensors is .*the last tensor is "d".*not finished/);
  });

  test("an index that puts a tensor elsewhere, forgets one, or invents one", async () => {
    await writeTinyCheckpoint(folder, { tensors, shards });
    await editIndex((map) => {
      map["a"] = "model-00002-of-00002.safetensors";
      delete map["b"];
      map["ghost"] = "model-00001-of-00002.safetensors";
    });
    await refusal(
      /"a" should be in model-00002.*"ghost" should be in.*"b" in model-00001.*not in the index/,
    );
  });

  test("one tensor in two shards", async () => {
    await writeTinyCheckpoint(folder, { tensors, shards });
    const first = await readFile(join(folder, "model-00001-of-00002.safetensors"));
    await writeFile(join(folder, "model-00002-of-00002.safetensors"), first);
    await refusal(/Tensor "a" is in model-00001.* and in model-00002/);
  });

  test("whatever the index says, it is an index or refused", async () => {
    await writeTinyCheckpoint(folder, { tensors, shards });
    const name = fc.oneof(fc.constantFrom("a", "b", "c", "d"), fc.string());
    const shard = fc.oneof(
      fc.constantFrom(...shards, "..", ".safetensors", "x/y.safetensors"),
      fc.string(),
    );
    const index = fc.oneof(
      fc.record({ weight_map: fc.dictionary(name, shard) }),
      fc.record({ weight_map: fc.jsonValue() }),
      fc.jsonValue(),
    );
    await fc.assert(
      fc.asyncProperty(index, async (value) => {
        await writeFile(indexPath(), JSON.stringify(value));
        try {
          await (await openCheckpoint(folder)).close();
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          expect(error).toMatchObject({ code: "checkpoint_invalid" });
        }
      }),
      { numRuns: 200 },
    );
  });

  test("an index without a map, or without JSON", async () => {
    await writeFile(indexPath(), "{}");
    await refusal(/no weight_map/);
    await writeFile(indexPath(), "{");
    await refusal(/not JSON/);
  });

  test("a header that claims more than the file, before anything is allocated for it", async () => {
    const bytes = withHeader("{}");
    new DataView(bytes.buffer).setBigUint64(0, 24_000_000n, true);
    await writeFile(join(folder, "model.safetensors"), bytes);
    const before = process.memoryUsage().arrayBuffers;
    await refusal(/announces a header of 24000000 bytes but is 10 bytes long/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
  });
});
