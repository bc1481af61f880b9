// caption, ask and trace in this process, on nano: what goes where and with which exit status.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { nanoArtifact } from "../../../test/support/nano-artifact.ts";
import { ask } from "./ask.ts";
import { caption } from "./caption.ts";
import type { CliIo } from "./io.ts";
import { trace } from "./trace.ts";

let folder: string;
let model: readonly string[];
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  model = ["--model", await nanoArtifact()];
  folder = await mkdtemp(join(tmpdir(), "blip2-cli-"));
  // The simplest scene that nano was trained on: one shape on a plain ground.
  const picture = sharp(
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="300" height="300">
        <rect width="300" height="300" fill="#2f6fd0"/><circle cx="150" cy="150" r="80" fill="#f5d020"/>
      </svg>`,
    ),
  );
  await picture.clone().png().toFile(at("blue.png"));
  await picture.clone().webp({ lossless: true }).toFile(at("blue.webp"));
  await picture.clone().jpeg().toFile(at("blue.jpg"));
  await writeFile(at("text.png"), "no picture");
});
afterAll(() => rm(folder, { recursive: true }));

type Run = (args: readonly string[], io: CliIo) => Promise<number>;
async function run(command: Run, ...args: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const { signal } = new AbortController();
  const status = await command([...args, ...model], {
    stdout: (line) => void out.push(line),
    stderr: (line) => void err.push(line),
    signal,
  });
  return { status, out, err, json: () => out.map((line) => JSON.parse(line) as unknown) };
}

describe("caption", () => {
  test("one image: its caption alone on standard output", async () => {
    const { status, out } = await run(caption, at("blue.png"));
    expect(status).toBe(0);
    expect(out).toHaveLength(1);
    expect(out[0]).toMatch(/ on a blue background$/);
  });
  test("--json: one object a line with the documented fields", async () => {
    const { json } = await run(caption, at("blue.png"), "--json", "--max-new-tokens", "3");
    expect(json()).toEqual([
      {
        image: at("blue.png"),
        image_id: expect.stringMatching(/^img_[0-9a-f]{64}$/) as string,
        text: expect.any(String) as string,
        token_ids: expect.any(Array) as number[],
        finish_reason: "length",
        log_prob: expect.any(Number) as number,
        usage: { image_tokens: 16, prompt_tokens: 1, completion_tokens: 3 },
        model: "nano",
        model_revision: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
      },
    ]);
  });
  test("one that fails is reported, the others are done, exit 1", async () => {
    const paths = [at("text.png"), at("blue.jpg"), at("gone.png"), at("blue.webp")];
    const { status, out, err } = await run(caption, ...paths);
    expect(status).toBe(1);
    expect(out.map((line) => line.split(": ")[0])).toEqual([at("blue.jpg"), at("blue.webp")]);
    expect(err.filter((line) => line.startsWith(at("text.png")))).toHaveLength(1);
    expect(err.filter((line) => line.startsWith(at("gone.png")))).toHaveLength(1);
    const asJson = await run(caption, ...paths, "--json");
    expect(asJson.status).toBe(1);
    expect(asJson.json()).toMatchObject([
      { problem: { code: "image_not_recognised" } },
      { image: at("blue.jpg") },
      { problem: { code: "image_required" } },
      { image: at("blue.webp") },
    ]);
  });
  test("a prompt is passed as it stands; the text continues it", async () => {
    const prompt = "a yellow circle on a";
    const { out } = await run(caption, at("blue.png"), "--prompt", prompt);
    expect(out).toEqual(["blue background"]);
  });
  test("beams: every text on its line, and in --json each with its log-probability", async () => {
    const beams = ["--num-beams", "4", "--num-return-sequences", "3", "--length-penalty", "-1"];
    const { out, err, status } = await run(caption, at("blue.png"), ...beams, "--top-k", "5");
    expect(status).toBe(0);
    expect(out).toHaveLength(3);
    expect(new Set(out).size).toBe(3);
    const note = "`top_k` changed nothing: it is for do_sample.";
    expect(err).toContain(note);
    const [result] = (
      await run(caption, at("blue.png"), ...beams, "--top-k", "5", "--min-length", "9", "--json")
    ).json() as {
      sequences: { text: string; log_prob: number }[];
      text: string;
      notes: string[];
    }[];
    expect(result?.sequences.map(({ text }) => text)).toEqual(out);
    expect(result?.text).toBe(out[0]);
    expect(result?.notes).toEqual([
      note,
      expect.stringMatching(/`min_length` changed nothing.* 17 tokens/),
    ]);
  });
  test("samples: a seed repeats them, wherever the flag stands", async () => {
    const sample = ["--temperature", "3", "--min-new-tokens", "8"];
    const first = await run(caption, at("blue.png"), "--do-sample", ...sample, "--seed", "5");
    const again = await run(caption, "--seed", "5", "--do-sample", at("blue.png"), ...sample);
    const other = await run(caption, at("blue.png"), "--do-sample", ...sample, "--seed", "6");
    expect(first.out).toHaveLength(1);
    expect(again.out).toEqual(first.out);
    expect(other.out).not.toEqual(first.out);
  });
  test("a provider that is none, and one without its driver, say what there is to do", async () => {
    await expect(run(caption, at("blue.png"), "--provider", "gpu")).rejects.toThrow(
      /--provider is one of cpu, webgpu, cuda, not "gpu"/,
    );
    vi.stubEnv("VK_DRIVER_FILES", "/nowhere");
    try {
      await expect(run(caption, at("blue.png"), "--provider", "webgpu")).rejects.toMatchObject({
        code: "usage",
        detail: expect.stringMatching(/webgpu is not available here: .*--provider cpu/) as string,
      });
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test("an unknown flag, a wrong number or no image is wrong usage that names it", async () => {
    await expect(run(caption, "x.png", "--beams", "2")).rejects.toThrow(/--beams/);
    await expect(run(caption, "x.png", "--max-new-tokens", "0")).rejects.toThrow(
      /--max-new-tokens: /,
    );
    await expect(run(caption, "x.png", "--num-return-sequences", "2")).rejects.toThrow(
      /--num-return-sequences: must be 1 in greedy decoding/,
    );
    await expect(run(caption)).rejects.toMatchObject({ code: "usage" });
  });
});

describe("ask", () => {
  const count = "how many objects are there?";
  const ground = "what is the color of the background?";
  test("several questions over one look, each with its answer", async () => {
    const { status, json } = await run(ask, at("blue.png"), count, ground, "--json");
    expect(status).toBe(0);
    expect(json()).toMatchObject([
      { question: count, answer: expect.any(String) as string, image: at("blue.png") },
      { question: ground, answer: "blue", finish_reason: "stop", model: "nano" },
    ]);
    const alone = await run(ask, at("blue.png"), ground);
    expect(alone.out).toEqual(["blue"]);
  });
  test("a template of one's own, an empty question, a template without its place", async () => {
    const template = "Question: {} Answer:";
    const own = await run(ask, at("blue.png"), ground, "--template", template);
    expect(own.out).toEqual(["blue"]);
    await expect(run(ask, at("blue.png"), "  ")).rejects.toThrow(/empty/);
    await expect(run(ask, at("blue.png"), "x", "--template", "x")).rejects.toThrow(/\{\}/);
  });
});

describe("trace", () => {
  test("writes a whole file and names what is in it", async () => {
    const { status, out } = await run(trace, at("blue.png"), "--out", at("t.safetensors"));
    expect(status).toBe(0);
    expect(out[0]).toBe("pixel_values [1, 3, 224, 224]");
    const bytes = await readFile(at("t.safetensors"));
    const headerBytes = Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.toString("utf8", 8, 8 + headerBytes)) as object;
    expect(Object.keys(header)).toEqual([
      "pixel_values",
      "image_embeds",
      "query_output",
      "projected",
      "logits",
    ]);
    expect((await readdir(folder)).filter((name) => name.includes("partial"))).toEqual([]);
  });
  test("a failed image leaves no file", async () => {
    const { status } = await run(trace, at("text.png"), "--out", at("none.safetensors"));
    expect(status).toBe(1);
    expect(await readdir(folder)).not.toContain("none.safetensors");
  });
});
