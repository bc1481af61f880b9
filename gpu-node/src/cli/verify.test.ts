// `blip2 verify` on nano in this process: what it prints and with which exit status.
import { cp, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nanoArtifact } from "../../../test/support/nano-artifact.ts";
import type { Manifest } from "../artifact/manifest.ts";
import { verify } from "./verify.ts";

const checkpoint = join(import.meta.dirname, "../../nano/checkpoint");

let folder: string;
let artifact: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "blip2-verify-cli-"));
  artifact = join(folder, "nano");
  await cp(await nanoArtifact(), artifact, { recursive: true });
});
afterAll(() => rm(folder, { recursive: true }));

async function run(...args: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const { signal } = new AbortController();
  const status = await verify(args, {
    stdout: (line) => void out.push(line),
    stderr: (line) => void err.push(line),
    signal,
  });
  return { status, out, err };
}

test("a table for people: every block, the whole, the verdict", async () => {
  const { status, out } = await run(artifact, "--against", checkpoint);
  expect(status).toBe(0);
  expect(out[0]).toMatch(/^part +block +precision +cosine/);
  expect(out).toHaveLength(1 + 20 + 3);
  expect(out[1]).toMatch(/^vision +embeddings +fp32 +1\.00000000 +- /);
  expect(out.at(-2)).toMatch(/^whole: 8 of 8 greedy generations identical \(100\.0% of the ids\)/);
  expect(out.at(-1)).toBe("parity: all 20 blocks reach their floors");
});

test("--json: one object a line; a block that falls short is named, exit 1", async () => {
  const manifest = JSON.parse(await readFile(join(artifact, "manifest.json"), "utf8")) as Manifest;
  const path = join(artifact, "vision.data");
  const size = manifest.files["vision.data"]?.bytes ?? 0;
  await using file = await open(path, "r+");
  // The last weight in the file is the last norm's bias.
  await file.write(new Uint8Array(Float32Array.of(50).buffer), 0, 4, size - 4);
  const sha256 = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  Object.assign(manifest.files["vision.data"] ?? {}, { sha256 });
  await writeFile(join(artifact, "manifest.json"), JSON.stringify(manifest));

  const args = [artifact, "--against", checkpoint, "--blocks", "1", "--whole-max-bytes", "0"];
  const { status, out } = await run(...args, "--json");
  expect(status).toBe(1);
  const lines = out.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.filter(({ passed }) => passed === false)).toMatchObject([
    { part: "vision", block: "post_layernorm", precision: "fp32" },
    {
      artifact,
      name: "nano",
      passed: false,
      short: ["vision post_layernorm"],
      blocks: 9,
      whole: { skipped: "not asked for" },
    },
  ]);
  const { out: table } = await run(...args);
  expect(table.filter((line) => line.endsWith("SHORT"))).toHaveLength(1);
  expect(table.at(-1)).toBe("parity: 1 of 9 blocks fall short: vision post_layernorm");
});

test.each([
  [[], /Give one artifact folder and --against/],
  [["a"], /--against/],
  [["a", "b", "--against", "c"], /Give one/],
  [["a", "--against", "c", "--blocks", "some"], /--blocks: "some" is neither "all" nor/],
  [["a", "--against", "c", "--blocks", "0"], /--blocks: "0"/],
  [["a", "--against", "c", "--whole-max-bytes", "2GB"], /--whole-max-bytes: "2GB"/],
  [["a", "--against", "c", "--wrong"], /--wrong.*Usage: blip2 verify/],
])("%j is wrong usage", async (args, detail) => {
  await expect(run(...args)).rejects.toMatchObject({
    code: "usage",
    detail: expect.stringMatching(detail) as string,
  });
});
