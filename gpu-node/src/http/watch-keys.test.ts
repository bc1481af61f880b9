import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchKeys } from "./watch-keys.ts";

const [old, other] = ["old", "new"].map((id) => `${id}:${id.padEnd(32, "x")}`) as [string, string];
const never = 3_600_000;
let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "blip2-keys-"));
  file = path.join(folder, "keys");
  await writeFile(file, `${old}\n`);
});
afterEach(() => rm(folder, { recursive: true }));

function watched(everyMs = never) {
  const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() };
  const read = () => readFile(file, "utf8");
  const watch = watchKeys({ read, keys: parseSigningKeys(old), log, everyMs });
  return { log, watch, ids: () => watch.keys().map(({ id }) => id) };
}

test("what stands in the file now, said once", async () => {
  const { log, watch, ids } = watched();
  await watch.look();
  expect(log.info).not.toHaveBeenCalled();
  await writeFile(file, `${old}\n${other}\n`);
  await Promise.all([watch.look(), watch.look()]);
  expect(ids()).toEqual(["old", "new"]);
  await writeFile(file, other);
  await watch.look();
  expect(ids()).toEqual(["new"]);
  expect(log.info.mock.calls).toEqual([
    ["keys_read", { key_ids: ["old", "new"] }],
    ["keys_read", { key_ids: ["new"] }],
  ]);
  // The same name with another secret is another key.
  await writeFile(file, other.replaceAll("x", "y"));
  await watch.look();
  expect(log.info).toHaveBeenCalledTimes(3);
  watch.stop();
});

test("a file that is faulty, empty or gone: the keys of before, and a warning without a secret", async () => {
  const { log, watch, ids } = watched();
  for (const text of [`${old},${old}`, "", "new:short"]) {
    await writeFile(file, text);
    await watch.look();
    await watch.look();
    expect(ids()).toEqual(["old"]);
  }
  // One fault after another of the same kind is one line.
  expect(log.warn).toHaveBeenCalledTimes(1);
  await rm(file);
  await watch.look();
  expect(log.warn.mock.lastCall).toEqual([
    "keys_kept",
    { reason: expect.stringMatching(/cannot be read: ENOENT/) as string },
  ]);
  expect(JSON.stringify(log.warn.mock.calls)).not.toContain("xxx");
  await writeFile(file, other);
  await watch.look();
  expect(ids()).toEqual(["new"]);
  watch.stop();
});

test("nobody needs to say so", async () => {
  const { watch, ids } = watched(5);
  // As a rotation does it: the new file takes the place of the old one.
  await writeFile(`${file}.next`, other);
  await rename(`${file}.next`, file);
  await expect.poll(ids).toEqual(["new"]);
  watch.stop();
});
