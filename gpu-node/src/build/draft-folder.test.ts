import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeFolder } from "./draft-folder.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "draft-"));
});
afterEach(() => rm(root, { recursive: true }));

const { signal } = new AbortController();
const put = (draft: string) => writeFile(join(draft, "a"), "1");

test("the folder appears at the end, its parents too", async () => {
  const out = join(root, "deep", "er", "out");
  const seen = await writeFolder(out, 1, signal, async (draft) => {
    await put(draft);
    return readdir(join(root, "deep", "er"));
  });
  expect(seen).toEqual([expect.stringMatching(/^out\.building-[0-9a-f]{12}$/)]);
  expect(await readdir(join(root, "deep", "er"))).toEqual(["out"]);
  expect(await readFile(join(out, "a"), "utf8")).toBe("1");
});

test("a disk that is too small is refused before anything is written", async () => {
  const write = () => expect.fail("wrote");
  await expect(writeFolder(join(root, "out"), 1e18, signal, write)).rejects.toThrow(
    /free; the artifact needs 1000000\.0 TB/,
  );
  expect(await readdir(root)).toEqual([]);
});

test.each([
  ["ENOSPC", /out cannot be written: the disk is full/],
  ["EROFS", /read-only/],
])("%s is told in words, and the draft is gone", async (code, message) => {
  const error = Object.assign(new Error("write"), { code });
  const write = async (draft: string) => {
    await put(draft);
    throw error;
  };
  const caught: unknown = await writeFolder(join(root, "out"), 1, signal, write).catch(
    (thrown: unknown) => thrown,
  );
  expect(caught).toBeInstanceOf(AppError);
  expect(caught).toMatchObject({
    code: "usage",
    detail: expect.stringMatching(message),
    cause: error,
  });
  expect(await readdir(root)).toEqual([]);
});

test("a folder that someone else filled meanwhile is not touched", async () => {
  const out = join(root, "out");
  const write = async () => {
    await mkdir(out);
    await put(out);
  };
  await expect(writeFolder(out, 1, signal, write)).rejects.toThrow(/meanwhile/);
  expect(await readdir(root)).toEqual(["out"]);
});

test("an abort at the last moment leaves nothing", async () => {
  const controller = new AbortController();
  const write = async (draft: string) => {
    await put(draft);
    controller.abort();
  };
  await expect(writeFolder(join(root, "out"), 1, controller.signal, write)).rejects.toMatchObject({
    name: "AbortError",
  });
  expect(await readdir(root)).toEqual([]);
});
