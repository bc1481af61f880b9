// match, embed and trace on a model that compares, and what each command says of a model that cannot do it.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildTinyPair } from "../../../test/support/tiny-pair.ts";
import { ask } from "./ask.ts";
import { caption } from "./caption.ts";
import { embed } from "./embed.ts";
import { inspect } from "./inspect.ts";
import type { CliIo } from "./io.ts";
import { match } from "./match.ts";
import { trace } from "./trace.ts";

let folder: string;
let writer: string;
let comparer: string;
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "blip2-retrieval-cli-"));
  ({ writer, comparer } = await buildTinyPair(folder));
  const picture = Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><rect width="40" height="30" fill="#2f6fd0"/></svg>`,
  );
  await sharp(picture).png().toFile(at("blue.png"));
  await writeFile(at("text.png"), "no picture");
});
afterAll(() => rm(folder, { recursive: true }));

type Run = (args: readonly string[], io: CliIo) => Promise<number>;
async function run(command: Run, model: string, ...args: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const { signal } = new AbortController();
  const io = {
    stdout: (line: string) => void out.push(line),
    stderr: (line: string) => void err.push(line),
    signal,
  };
  const status = await command([...args, "--model", model], io);
  return { status, out, err, json: () => out.map((line) => JSON.parse(line) as unknown) };
}

const result = {
  image: expect.stringMatching(/blue\.png$/) as string,
  image_id: expect.stringMatching(/^img_[0-9a-f]{64}$/) as string,
  model: "comparer",
  model_revision: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
};
const number = expect.any(Number) as number;

describe("match", () => {
  test("--json: one object a text, with the documented fields", async () => {
    const { status, json } = await run(match, comparer, at("blue.png"), "a cat", "dogs", "--json");
    expect(status).toBe(0);
    expect(json()).toEqual([
      { ...result, text: "a cat", itm: number, itc: number },
      { ...result, text: "dogs", itm: number, itc: number },
    ]);
    for (const { itm, itc } of json() as { itm: number; itc: number }[]) {
      expect(itm).toBeGreaterThan(0);
      expect(itm).toBeLessThan(1);
      expect(Math.abs(itc)).toBeLessThanOrEqual(1);
    }
  });
  test("without it: a line a text", async () => {
    const { out } = await run(match, comparer, at("blue.png"), "a cat", "dogs");
    expect(out).toHaveLength(2);
    expect(out[0]).toMatch(/^itm 0\.\d{4} {2}itc +-?\d\.\d{4} {2}a cat$/);
  });
  test("a text that is too long, a file that is no picture: exit 1", async () => {
    const long = await run(
      match,
      comparer,
      at("blue.png"),
      "a cat on the mat on the mat",
      "--json",
    );
    expect(long.status).toBe(1);
    expect(long.json()).toMatchObject([{ problem: { code: "prompt_too_long" } }]);
    const none = await run(match, comparer, at("text.png"), "a cat");
    expect(none.status).toBe(1);
    expect(none.err.at(-1)).toMatch(/text\.png: /);
  });
  test("no text, an empty text, or an unknown flag is wrong usage", async () => {
    await expect(run(match, comparer, at("blue.png"))).rejects.toMatchObject({ code: "usage" });
    await expect(run(match, comparer, at("blue.png"), " ")).rejects.toThrow(/A text is empty/);
    await expect(run(match, comparer, "x.png", "a", "--top-k", "1")).rejects.toThrow(/--top-k/);
  });
});

describe("embed", () => {
  const shapeOf = (embedding: unknown): number[] =>
    Array.isArray(embedding) ? [embedding.length, ...shapeOf(embedding[0])] : [];
  test.each([
    [
      ["--image", "blue.png"],
      [3, 7],
    ],
    [
      ["--image", "blue.png", "--features", "query"],
      [3, 6],
    ],
    [["--text", "a cat"], [7]],
    [
      ["--text", "a cat", "--features", "query"],
      [4, 6],
    ],
  ])("%j gives numbers of the shape %j", async ([kind = "", given = "", ...more], shape) => {
    const value = kind === "--image" ? at(given) : given;
    const { status, json, out } = await run(embed, comparer, kind, value, ...more, "--json");
    expect(status).toBe(0);
    expect(out).toHaveLength(1);
    const [made] = json() as [{ embedding: number[] | number[][]; model: string }];
    expect(shapeOf(made.embedding)).toEqual(shape);
    expect(made).toMatchObject({
      model: "comparer",
      ...(kind === "--image" ? { image: value } : { text: given }),
    });
    if (more.length > 0) return;
    for (const row of shape.length === 1 ? [made.embedding] : made.embedding) {
      expect(Math.hypot(...(row as number[]))).toBeCloseTo(1, 6);
    }
  });
  test("without --json: a line a vector", async () => {
    const { out } = await run(embed, comparer, "--image", at("blue.png"));
    expect(out).toHaveLength(3);
    expect(out[0]?.split(" ").map(Number).every(Number.isFinite)).toBe(true);
  });
  test("the Q-Former's output is there in a model that writes as well", async () => {
    const { json } = await run(
      embed,
      writer,
      "--image",
      at("blue.png"),
      "--features",
      "query",
      "--json",
    );
    expect(shapeOf((json()[0] as { embedding: unknown }).embedding)).toEqual([3, 6]);
  });
  test("image and text, neither, or other features are wrong usage", async () => {
    const both = run(embed, comparer, "--image", at("blue.png"), "--text", "a");
    await expect(both).rejects.toThrow(/either --image or --text/);
    await expect(run(embed, comparer)).rejects.toThrow(/either --image or --text/);
    await expect(run(embed, comparer, "--text", "")).rejects.toThrow(/--text is empty/);
    const wrong = run(embed, comparer, "--text", "a", "--features", "raw");
    await expect(wrong).rejects.toThrow(/projected or query, not "raw"/);
  });
});

describe("trace", () => {
  const namesIn = async (path: string): Promise<string[]> => {
    const bytes = await readFile(path);
    const header = bytes.toString("utf8", 8, 8 + Number(bytes.readBigUInt64LE()));
    return Object.keys(JSON.parse(header) as object).filter((name) => name !== "__metadata__");
  };
  test("of the picture alone, and with a text", async () => {
    const seen = ["pixel_values", "image_embeds", "query_output", "projected"];
    await run(trace, comparer, at("blue.png"), "--out", at("one.safetensors"));
    expect(await namesIn(at("one.safetensors"))).toEqual(seen);
    await run(trace, comparer, at("blue.png"), "--text", "a cat", "--out", at("two.safetensors"));
    const read = ["text_output", "text_projected", "itm_logits", "itm"];
    expect(await namesIn(at("two.safetensors"))).toEqual([...seen, ...read]);
  });
});

test("inspect counts weights that three graphs share once", async () => {
  const out: string[] = [];
  const { signal } = new AbortController();
  await inspect([comparer, "--json"], {
    stdout: (line) => void out.push(line),
    stderr: () => {},
    signal,
  });
  const described = JSON.parse(out[0] ?? "") as {
    parameters: number;
    parts: Record<string, { parameters: number; files: string[] }>;
  };
  expect(described).toMatchObject({ family: "retrieval", context: 8, vocab: 13, dim: 7 });
  const sum = Object.values(described.parts).reduce((all, part) => all + part.parameters, 0);
  expect(described.parameters).toBeLessThan(sum);
  expect(described.parts["itm"]?.files).toEqual(["itm.onnx", "qformer.data"]);
});

describe("a model of the other kind is refused, and the message says what would do", () => {
  test.each<[string, Run, string[]]>([
    ["caption", caption, ["blue.png"]],
    ["ask", ask, ["blue.png", "what?"]],
  ])("%s", async (_, command, [image = "", ...more]) => {
    const refused = run(command, comparer, at(image), ...more);
    await expect(refused).rejects.toMatchObject({ code: "usage" });
    await expect(refused).rejects.toThrow(/holds comparer, a retrieval model.* opt or t5/);
  });
  test.each<[string, Run, string[]]>([
    ["match", match, ["PICTURE", "a cat"]],
    ["embed of an image", embed, ["--image", "PICTURE"]],
    ["embed of a text", embed, ["--text", "a cat"]],
    ["embed of a text's output", embed, ["--text", "a cat", "--features", "query"]],
  ])("%s", async (_, command, args) => {
    const given = args.map((arg) => (arg === "PICTURE" ? at("blue.png") : arg));
    const refused = run(command, writer, ...given);
    await expect(refused).rejects.toMatchObject({ code: "usage" });
    await expect(refused).rejects.toThrow(/holds writer of the family opt.*Blip2ForImageTextRetr/);
  });
});
