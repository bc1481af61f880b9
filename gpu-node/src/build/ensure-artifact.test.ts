import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeTinyCheckpoint } from "../../../test/support/tiny-checkpoint.ts";
import { verifyArtifact } from "../artifact/verify-artifact.ts";
import { ensureArtifact } from "./ensure-artifact.ts";

let root: string;
let checkpoint: string;
let lines: string[];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ensure-"));
  checkpoint = join(root, "checkpoint");
  lines = [];
  await writeTinyCheckpoint(checkpoint);
});
afterEach(() => rm(root, { recursive: true, force: true }));

const ensure = () =>
  ensureArtifact({
    checkpoint,
    root: join(root, "models"),
    name: "nano",
    signal: new AbortController().signal,
    log: (line) => lines.push(line),
  });

test("builds once, then returns the folder at once", async () => {
  const folder = await ensure();
  expect((await verifyArtifact(folder)).manifest.name).toBe("nano");
  const said = lines.length;
  expect(await ensure()).toBe(folder);
  expect(lines.length).toBe(said);
});

test("a changed checkpoint gets a folder of its own", async () => {
  const before = await ensure();
  await writeFile(join(checkpoint, "tokenizer_config.json"), "{}");
  const after = await ensure();
  expect(after).not.toBe(before);
  await utimes(join(checkpoint, "model.safetensors"), 1, 1);
  expect([before, after]).not.toContain(await ensure());
});

test("several at once all get a whole artifact, and no draft stays", async () => {
  const folders = await Promise.all([ensure(), ensure(), ensure(), ensure()]);
  expect(new Set(folders).size).toBe(1);
  await verifyArtifact(folders[0] ?? "");
  expect(await readdir(join(root, "models"))).toHaveLength(1);
});

test("a damaged one is replaced by another, and left for its users", async () => {
  const folder = await ensure();
  await rm(join(folder, "vision.data"));
  const other = await ensure();
  expect(other).toBe(`${folder}-1`);
  expect(lines.join("\n")).toContain(`${folder} is damaged`);
  await verifyArtifact(other);
});

test("a checkpoint that is none is refused", async () => {
  await rm(checkpoint, { recursive: true });
  await expect(ensure()).rejects.toThrow(/is not a readable folder/);
});
