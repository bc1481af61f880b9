import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runPeer } from "./transformers-peer.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "peer-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Stands for Python: runs `body` with the script's arguments in `args`. */
async function interpreter(name: string, body: string): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, `#!${process.execPath}\nconst args = process.argv.slice(2);\n${body}\n`);
  await chmod(file, 0o755);
  return file;
}
const settings = {
  checkpoint: "/a/checkpoint",
  dtype: "bfloat16",
  images: [1, 8],
  newTokens: 12,
  threads: 2,
  repeats: 3,
} as const;

test("asks the script for the same images, tokens and threads, and reads its rows", async () => {
  const body = `
    const [script, checkpoint, ...flags] = args;
    if (!script.endsWith("test/bench/transformers_peer.py") || checkpoint !== "/a/checkpoint") process.exit(3);
    if (flags.join(" ") !== "--dtype bfloat16 --images 1 8 --new-tokens 12 --threads 2 --repeats 3") process.exit(4);
    const row = { dtype: "bfloat16", new_tokens: 12, vision_seconds: 1.5, more: "is passed over" };
    for (const images of [1, 8]) console.log(JSON.stringify({ ...row, images, caption_seconds: 4 * images }));`;
  const rows = await runPeer({ ...settings, python: await interpreter("good", body) });
  const row = { dtype: "bfloat16", newTokens: 12, visionSeconds: 1.5 };
  expect(rows).toEqual([
    { ...row, images: 1, captionSeconds: 4 },
    { ...row, images: 8, captionSeconds: 32 },
  ]);
});

test("a script that fails is an error with its words", async () => {
  const python = await interpreter(
    "bad",
    'console.error("No module named torch"); process.exit(1);',
  );
  await expect(runPeer({ ...settings, python })).rejects.toThrow("No module named torch");
});

test("rows of another form are an error", async () => {
  const python = await interpreter("odd", 'console.log("{}");');
  await expect(runPeer({ ...settings, python })).rejects.toThrow("dtype");
});
