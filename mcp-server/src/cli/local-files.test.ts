// What an agent may have read over stdio, and every way around it that we know.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readLocalPicture, realFolders } from "./local-files.ts";

const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);
let home: string;
let allowed: string;
let folders: readonly string[];
beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), "blip2-files-"));
  allowed = path.join(home, "pictures");
  await mkdir(path.join(allowed, "deep"), { recursive: true });
  await mkdir(path.join(home, "pictures-private"));
  await writeFile(path.join(allowed, "deep/in.png"), png);
  await writeFile(path.join(allowed, "..odd.png"), png);
  await writeFile(path.join(allowed, "notes.txt"), "a secret");
  await writeFile(path.join(home, "out.png"), png);
  await writeFile(path.join(home, "pictures-private/out.png"), png);
  await symlink(path.join(home, "out.png"), path.join(allowed, "link.png"));
  await symlink(home, path.join(allowed, "up"));
  await symlink(path.join(allowed, "deep/in.png"), path.join(allowed, "inner.png"));
  await promisify(execFile)("mkfifo", [path.join(allowed, "pipe.png")]);
  folders = await realFolders([allowed, path.join(home, "nowhere")]);
});
afterAll(() => rm(home, { recursive: true, force: true }));

test("pictures inside are read: by their path, as a file URL, relative to the folder, through links that stay inside", async () => {
  const inside = path.join(allowed, "deep/in.png");
  for (const name of [inside, pathToFileURL(inside).href, "deep/in.png", "inner.png"]) {
    expect(new Uint8Array(await readLocalPicture(name, folders))).toEqual(png);
  }
});

test("nothing else is, and one refusal says nothing of what is there", async () => {
  const refused = [
    path.join(home, "out.png"),
    path.join(home, "pictures-private/out.png"),
    path.join(allowed, "../out.png"),
    "../out.png",
    "deep/../../out.png",
    path.join(allowed, "link.png"),
    path.join(allowed, "up/out.png"),
    "up/pictures-private/out.png",
    pathToFileURL(path.join(home, "out.png")).href,
    "file://other-host/etc/passwd",
    "file:///etc/passwd%00.png",
    `${allowed}/deep/in.png\0.txt`,
    "/etc/passwd",
    "/proc/self/environ",
    `/proc/self/root${path.join(home, "out.png")}`,
    `${pathToFileURL(allowed).href}/%2e%2e/out.png`,
    `${pathToFileURL(allowed).href}/..%2fout.png`,
    "%2e%2e/out.png",
    path.join(home, "PICTURES/deep/in.png"),
    `${allowed}/deep/in.png/../../../out.png`,
    "/dev/zero",
    path.join(allowed, "notes.txt"),
    path.join(allowed, "pipe.png"),
    path.join(allowed, "deep"),
    allowed,
    "does-not-exist.png",
  ];
  const words = new Set<string>();
  for (const name of refused) {
    const why = await readLocalPicture(name, folders).then(
      () => `read ${name}`,
      (error: Error) => error.message,
    );
    words.add(why);
  }
  expect([...words]).toEqual([
    expect.stringMatching(/^No picture that may be read is at this path/),
  ]);
});

test("without a folder no file is read", async () => {
  await expect(readLocalPicture(path.join(allowed, "deep/in.png"), [])).rejects.toThrow(
    /No picture that may be read/,
  );
});
