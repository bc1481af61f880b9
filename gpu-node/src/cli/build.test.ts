import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeTinyCheckpoint } from "../../../test/support/tiny-checkpoint.ts";
import { build } from "./build.ts";
import { inspect } from "./inspect.ts";

let root: string;
let out: string[];
let err: string[];
const io = {
  stdout: (line: string) => void out.push(line),
  stderr: (line: string) => void err.push(line),
  signal: new AbortController().signal,
};
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "cli-"));
  [out, err] = [[], []];
  await writeTinyCheckpoint(join(root, "checkpoint"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

test("without a word about precision it is mixed", async () => {
  const artifact = join(root, "tiny");
  await build([join(root, "checkpoint"), "--out", artifact, "--no-verify"], io);
  out = [];
  expect(await inspect([artifact], io)).toBe(0);
  expect(out.join("\n")).toMatch(/opt, mixed,/);
  expect(out.join("\n")).toMatch(/vision +matrices int8 in rows, rotated by 32/);
});

test("build then inspect, for people and as JSON", async () => {
  const artifact = join(root, "tiny");
  const args = [join(root, "checkpoint"), "--out", artifact, "--precision", "fp32", "--json"];
  expect(await build(args, io)).toBe(0);
  const built = JSON.parse(out[0] ?? "") as Record<string, unknown>;
  expect(built).toMatchObject({
    artifact,
    name: "tiny",
    built: true,
    parity: { passed: true, short: [] },
  });
  expect(out).toHaveLength(1);
  expect(err.join("\n")).toMatch(/building tiny: \d+ tensors/);

  expect(await build(args, io)).toBe(0);
  // What parity.json proves is not measured again.
  const { parity: _, ...unchanged } = built;
  expect(JSON.parse(out[1] ?? "")).toEqual({ ...unchanged, built: false });

  out = [];
  expect(await inspect([artifact, "--json", "--verify"], io)).toBe(0);
  expect(JSON.parse(out.join(""))).toMatchObject({
    name: "tiny",
    model_revision: built["model_revision"],
    bytes: built["bytes"],
    verified: true,
    parts: {
      // 3*10*16 + 10 + 10 + 5*10, a block of 330 + 110 + 40 + 154 + 150, a norm of 20
      vision: { parameters: 1354, precision: "fp32", files: ["vision.onnx", "vision.data"] },
    },
  });

  out = [];
  expect(await inspect([artifact], io)).toBe(0);
  expect(out.join("\n")).toMatch(/tiny [0-9a-f]{16} .*opt, fp32/);
  expect(out.join("\n")).toMatch(/1,354 parameters/);
});

test("a sample of blocks that falls short is named and exits 1; the artifact stands", async () => {
  // Random and narrow: 4 bits are not enough for its vision tower.
  const checkpoint = join(import.meta.dirname, "../../../test/golden/opt/published/checkpoint");
  const args = [checkpoint, "--out", join(root, "coarse"), "--precision", "int4"];
  expect(await build(args, io)).toBe(1);
  expect(out[1]).toMatch(/^parity: \d of 14 blocks fall short .*vision layers\.0/);
  // What has not passed is measured again.
  expect(await build(args, io)).toBe(1);
  expect(out[2]).toMatch(/already there/);
  expect(await inspect([join(root, "coarse"), "--verify"], io)).toBe(0);
});

test("--no-verify measures nothing", async () => {
  const artifact = join(root, "tiny");
  const args = [join(root, "checkpoint"), "--out", artifact, "--no-verify", "--json"];
  expect(await build(args, io)).toBe(0);
  expect(JSON.parse(out[0] ?? "")).not.toHaveProperty("parity");
  expect(await readdir(artifact)).not.toContain("parity.json");
});

test.each([
  [[], /Give one checkpoint .* and --out/],
  [["a"], /--out/],
  [["a", "b", "--out", "c"], /Give one/],
  [
    ["a", "--out", "c", "--precision", "int3"],
    /int3 is not supported; fp32, fp16, int8, int4, mixed are/,
  ],
  [["a", "--out", "c", "--precision", "int8", "--recipe", "r"], /exclude each other/],
  [["a", "--out", "c", "--recipe", "/no/such.json"], /recipe \/no\/such\.json cannot be read/],
  [["a", "--out", "c", "--colour"], /--colour.*Usage: blip2 build/],
])("build %j is wrong usage", async (args, message) => {
  const error: unknown = await build(args, io).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(AppError);
  expect(error).toMatchObject({ code: "usage", detail: expect.stringMatching(message) });
});

test("a recipe file decides each part, and its faults are named by field", async () => {
  const artifact = join(root, "tiny");
  const recipe = join(root, "recipe.json");
  const args = [join(root, "checkpoint"), "--out", artifact, "--recipe", recipe, "--json"];
  await writeFile(recipe, JSON.stringify({ name: "mine", parts: { vision: "int5" } }));
  await expect(build(args, io)).rejects.toMatchObject({
    code: "usage",
    detail: expect.stringMatching(/recipe\.json is faulty: parts\.vision\.matrices\.precision: /),
  });
  await writeFile(recipe, "{");
  await expect(build(args, io)).rejects.toMatchObject({ code: "usage" });

  const decoder = { matrices: { precision: "int4", block: 32 }, head: "int8" };
  await writeFile(
    recipe,
    JSON.stringify({ name: "mine", parts: { vision: "fp16", decoder }, others: "fp32" }),
  );
  expect(await build(args, io)).toBe(0);
  expect(JSON.parse(out[0] ?? "")).toMatchObject({ precision: "mine", built: true });
  out = [];
  expect(await inspect([artifact], io)).toBe(0);
  const text = out.join("\n");
  expect(text).toMatch(/opt, mine, format 3/);
  expect(text).toMatch(/^vision +fp16$/m);
  expect(text).toMatch(/^qformer +fp32$/m);
  expect(text).toMatch(
    /^decoder +matrices int4 in blocks of 32 with zero points, tables int8 in blocks of 128, head int8 in blocks of 128, the rest fp32$/m,
  );
  expect(text).toMatch(/^qformer .* 32\.00 bits each/m);
});

test.each([[[]], [["a", "b"]], [["a", "--wrong"]]])("inspect %j is wrong usage", async (args) => {
  await expect(inspect(args, io)).rejects.toMatchObject({ code: "usage" });
});
