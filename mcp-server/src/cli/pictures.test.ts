import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AppError, problemResponse } from "@blip2-edge/shared/problem";
import { writeServerSentEvent } from "@blip2-edge/shared/sse";
import { caption } from "./caption.ts";
import { embed } from "./embed.ts";
import type { CliIo } from "./io.ts";
import { classify, match } from "./match.ts";
import { models } from "./models.ts";
import { vqa } from "./vqa.ts";

const imageId = `img_${"1".repeat(64)}`;
const about = { image_id: imageId, model: "nano", model_revision: "0123456789abcdef" };
const usage = { image_tokens: 16, prompt_tokens: 1, completion_tokens: 3 };
const said = { log_prob: -0.5, finish_reason: "stop", usage };
const captioned = { text: "a cat", ...said, ...about };

let folder = "";
let file = "";
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "blip2-cli-"));
  file = path.join(folder, "a.jpg");
  await writeFile(file, Uint8Array.of(0xff, 0xd8));
});
afterAll(() => rm(folder, { recursive: true }));

interface Sent {
  readonly path: string;
  /** JSON, or the part `request`. */
  readonly fields: unknown;
  readonly file: boolean;
}

/** Runs a command against one scripted answer; tells what it asked and wrote. */
async function run(
  command: (args: readonly string[], io: CliIo) => Promise<number>,
  args: readonly string[],
  answer: (sent: Sent) => unknown,
) {
  const sent: Sent[] = [];
  const [out, err]: [string[], string[]] = [[], []];
  const status = await command(args, {
    stdout: (line) => void out.push(`${line}\n`),
    write: (text) => void out.push(text),
    stderr: (line) => void err.push(line),
    signal: new AbortController().signal,
    env: { BLIP2_API_KEY: "key" },
    async fetch(input, init) {
      const request = new Request(input, init);
      const isForm = request.headers.get("content-type")?.startsWith("multipart/") === true;
      const form = isForm ? await request.formData() : undefined;
      const part = form?.get("request");
      const text = typeof part === "string" ? part : await request.text();
      sent.push({
        path: new URL(request.url).pathname,
        fields: text === "" ? undefined : JSON.parse(text),
        file: form?.get("image") instanceof Blob,
      });
      const answered = answer(sent.at(-1) as Sent);
      return answered instanceof Response ? answered : Response.json(answered);
    },
  }).catch((error: unknown) => error);
  return { status, sent, err, out: out.join("") };
}

describe("caption", () => {
  test("of a file, a URL and an earlier picture, with the generation flags as they are", async () => {
    const flags = "--num-beams 3 --do-sample --early-stopping never --length-penalty=-1.5".split(
      " ",
    );
    const pictures = [file, "https://example.com/a.jpg", imageId];
    const { status, sent, out } = await run(caption, [...pictures, ...flags], () => captioned);
    expect(status).toBe(0);
    expect(out).toBe(pictures.map((name) => `${name}: a cat\n`).join(""));
    const asked = { num_beams: 3, do_sample: true, early_stopping: "never", length_penalty: -1.5 };
    expect(sent).toEqual([
      { path: "/v1/caption", fields: asked, file: true },
      { path: "/v1/caption", fields: { image: { url: pictures[1] }, ...asked }, file: false },
      { path: "/v1/caption", fields: { image: { image_id: imageId }, ...asked }, file: false },
    ]);
  });

  test("as alt text, which is not streamed", async () => {
    const { sent } = await run(caption, [imageId, "--style", "alt"], () => captioned);
    expect(sent[0]?.fields).toEqual({ image: { image_id: imageId }, style: "alt" });
    const both = await run(caption, [imageId, "--style", "alt", "--stream"], () => captioned);
    expect(both.status).toMatchObject({ code: "usage" });
    expect(both.sent).toEqual([]);
  });

  test("one that fails is told of, and the others are done", async () => {
    const answer = ({ file: isFile }: Sent) =>
      isFile ? problemResponse(new AppError("image_corrupt", "It is broken.")) : captioned;
    const plain = await run(caption, [file, imageId], answer);
    expect([plain.status, plain.out, plain.err]).toEqual([
      ...[1, `${imageId}: a cat\n`, [`${file}: It is broken.`]],
    ]);
    const json = await run(caption, [file, `${folder}/none`, imageId, "--json"], answer);
    const rows = json.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(rows).toMatchObject([
      { image: file, problem: { code: "image_corrupt" } },
      { problem: { code: "image_required" } },
      { image: imageId, text: "a cat" },
    ]);
    expect((await run(caption, [file], answer)).status).toMatchObject({ code: "image_corrupt" });
  });

  test("streamed: the text as it is written, or an event a line", async () => {
    const events = () =>
      new Response(
        writeServerSentEvent("text", { index: 0, text: "a " }) +
          writeServerSentEvent("text", { index: 0, text: "cat" }) +
          writeServerSentEvent("result", captioned),
        { headers: { "content-type": "text/event-stream" } },
      );
    const plain = await run(caption, [imageId, "--stream"], events);
    expect([plain.status, plain.out]).toEqual([0, "a cat\n"]);
    expect(plain.sent[0]?.fields).toEqual({ image: { image_id: imageId }, stream: true });
    const json = await run(caption, [imageId, "--stream", "--json"], events);
    expect(
      json.out
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { event: string }).event),
    ).toEqual([...["text", "text", "result"]]);
  });

  test.each([
    [[]],
    [["a", "--num-beams", "many"]],
    [["a", "--num-return-sequences", "2"]],
    [["a", "--style", "haiku"]],
    [["a", "--wrong"]],
  ])("wrong usage: %j", async (args) => {
    const { status, sent } = await run(caption, args, () => captioned);
    expect(status).toMatchObject({ code: "usage" });
    expect(sent).toEqual([]);
  });
});

test("vqa, one question and several", async () => {
  const answers = (questions: string[]) => ({
    answers: questions.map((question) => ({ question, answer: `${question.length}`, ...said })),
    ...about,
  });
  const answer = ({ fields }: Sent) => answers((fields as { questions: string[] }).questions);
  expect((await run(vqa, [imageId, "how many?"], answer)).out).toBe("9\n");
  const several = await run(vqa, [imageId, "how many?", "what?", "--template", "{}"], answer);
  expect(several.out).toBe("how many? 9\nwhat? 5\n");
  expect(several.sent[0]?.fields).toMatchObject({ template: "{}" });
  expect((await run(vqa, [imageId], answer)).status).toMatchObject({ code: "usage" });
});

test("match and classify", async () => {
  const matched = () => ({ matches: [{ text: "a cat", itm: 0.9, itc: 0.25 }], ...about });
  expect((await run(match, [imageId, "a cat"], matched)).out).toBe(
    "itm  0.9000  itc  0.2500  a cat\n",
  );
  const labelled = () => ({ labels: [{ label: "cat", score: 1, itc: -0.5 }], ...about });
  const { out, sent } = await run(classify, [imageId, "cat", "--template", "a {}"], labelled);
  expect(out).toBe(" 1.0000  itc -0.5000  cat\n");
  expect(sent[0]?.fields).toMatchObject({ labels: ["cat"], template: "a {}" });
  const wrong = await run(match, [imageId, "a", "--template", "{}"], matched);
  expect(wrong.status).toMatchObject({ code: "usage" });
});

test("embed and models", async () => {
  const vectors = (embedding: unknown) => () => ({ embedding, dim: 2, ...about });
  const ofText = await run(embed, ["--text", "a"], vectors([1, 0.5]));
  expect([ofText.out, ofText.sent[0]?.fields]).toEqual(["1 0.5\n", { text: "a" }]);
  const ofPicture = await run(
    embed,
    ["--image", file, "--features", "query"],
    vectors([
      [1, 2],
      [3, 4],
    ]),
  );
  expect([ofPicture.out, ofPicture.sent[0]?.file]).toEqual(["1 2\n3 4\n", true]);
  expect((await run(embed, ["--text", "a", "--image", "b"], vectors([]))).status).toMatchObject({
    code: "usage",
  });
  const list = () => ({
    ...{ object: "list" },
    data: [
      {
        ...{ id: "nano", object: "model", created: 0, owned_by: "blip2-edge" },
        ...{ model_revision: about.model_revision, abilities: ["caption", "vqa"] },
      },
    ],
  });
  expect((await run(models, [], list)).out).toBe("nano  0123456789abcdef  caption vqa\n");
});
