// OpenAI's own client for JavaScript, unchanged, before the Worker: completions whole and streamed, embeddings,
// models, and the classes of its errors.
import OpenAI, {
  AuthenticationError,
  BadRequestError,
  NotFoundError,
  RateLimitError,
} from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "@blip2-edge/shared/client";
import { AppError } from "@blip2-edge/shared/problem";
import { startEdge, type Edge } from "../support/edge.ts";
import { fakeModel, fakeRetrieval } from "../support/fake-node.ts";
import { fakeDim, fakeVectors } from "../support/fake-answers.ts";
import { jpeg } from "../support/pictures.ts";

const vars = { OPERATOR_KEYS: `b2e_operator_${"9z".repeat(16)}` };
const picture = await jpeg(60);
const dataUrl = `data:image/jpeg;base64,${Buffer.from(picture).toString("base64")}`;
let edge: Edge;
let openai: OpenAI;
beforeAll(async () => {
  edge = await startEdge({
    vars,
    internet: () =>
      new Response(new Uint8Array(picture), { headers: { "content-type": "image/jpeg" } }),
  });
  openai = new OpenAI({ baseURL: `${edge.url}/v1`, apiKey: edge.ada });
});
afterAll(() => edge?.stop());

const model = fakeModel.model;
const seen = (url: string, text?: string): OpenAI.ChatCompletionMessageParam => ({
  role: "user",
  content: [
    ...(text === undefined ? [] : [{ type: "text" as const, text }]),
    { type: "image_url", image_url: { url, detail: "auto" } },
  ],
});

describe("chat.completions.create", () => {
  test("answers a question about a data URL, as /v1/vqa does", async () => {
    const completion = await openai.chat.completions.create({
      model,
      messages: [seen(dataUrl, "what is it?")],
      max_completion_tokens: 4096,
      user: "someone",
    });
    const own = createClient({ url: edge.url, key: edge.ada });
    const answer = await own.vqa({
      ...{ image: { bytes: picture }, question: "what is it?", max_new_tokens: 256 },
    });
    if (!("answer" in answer)) throw new Error("no answer");
    expect(completion).toMatchObject({
      object: "chat.completion",
      model,
      system_fingerprint: fakeModel.model_revision,
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: answer.answer, refusal: null },
          finish_reason: "stop",
        },
      ],
      usage: { prompt_tokens: 33, completion_tokens: 3, total_tokens: 36 },
    });
    expect(completion.id).toMatch(/^chatcmpl-[0-9a-f]{32}$/);
    expect(Math.abs(completion.created - Date.now() / 1000)).toBeLessThan(60);
    // One inference for both.
    expect(edge.node.asked.at(-1)?.request.texts).toEqual(["Question: what is it? Answer:"]);
    expect(edge.lastEvent()).toMatchObject({ cache: "hit" });
  });

  test("captions a picture from a URL, and goes on about it", async () => {
    const url = "https://pictures.example/a.jpg";
    const first = await openai.chat.completions.create({ model, messages: [seen(url)] });
    const said = first.choices[0]?.message;
    expect(said?.content).toMatch(/^picture /);
    if (said === undefined) throw new Error("nothing was said");
    await openai.chat.completions.create({
      model,
      // The message goes back as it came.
      messages: [seen(url), said, { role: "user", content: "and what else?" }],
    });
    expect(edge.node.asked.at(-1)?.request.texts).toEqual([
      `${said.content} Question: and what else? Answer:`,
    ]);
  });

  test("draws where a temperature is given, and only there", async () => {
    const messages = [seen(dataUrl, "draw?")];
    await openai.chat.completions.create({
      model,
      messages,
      temperature: 0.5,
      seed: 7,
      top_p: 0.9,
    });
    expect(edge.node.asked.at(-1)?.request.generation).toMatchObject({
      ...{ do_sample: true, temperature: 0.5, top_p: 0.9, top_k: 0, seed: 7 },
    });
    await openai.chat.completions.create({ model, messages, temperature: 0 });
    expect(edge.node.asked.at(-1)?.request.generation.do_sample).toBeUndefined();
  });

  test("streams, with its usage at the end if that is wanted", async () => {
    const pause = Promise.withResolvers<void>();
    edge.node.failNext({ kind: "after_first_text", wait: pause.promise });
    const stream = await openai.chat.completions.create({
      model,
      messages: [seen(dataUrl, "streamed?")],
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) {
      chunks.push(chunk);
      // The node goes on only after the first chunk has arrived.
      pause.resolve();
    }
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
    expect(text).toBe(`Question: streamed? Answer: ${edge.node.lastPicture()}`);
    expect(chunks.length).toBeGreaterThan(3);
    expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant");
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 36 } });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    for (const chunk of chunks)
      expect(chunk).toMatchObject({ model, object: "chat.completion.chunk" });
    // The helper that gathers a stream reads the same, from the cache now and without usage.
    const runner = openai.chat.completions.stream({
      model,
      messages: [seen(dataUrl, "streamed?")],
    });
    const final = await runner.finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe(text);
  });

  test("a failure in a stream is an error of the client", async () => {
    const pause = Promise.withResolvers<void>();
    const end = new AppError("engine_restarted", "");
    edge.node.failNext({ kind: "after_first_text", wait: pause.promise, end });
    const stream = await openai.chat.completions.create({
      ...{ model, stream: true, messages: [seen(dataUrl, "broken?")] },
    });
    const read = async () => {
      for await (const _ of stream) pause.resolve();
    };
    await expect(read()).rejects.toMatchObject({
      error: { code: "engine_restarted", type: "server_error" },
    });
  });

  test("a client that leaves a stream ends the node's work", async () => {
    const abandoned = edge.node.abandoned();
    const pause = Promise.withResolvers<void>();
    edge.node.failNext({ kind: "after_first_text", wait: pause.promise });
    const stream = await openai.chat.completions.create({
      ...{ model, stream: true, messages: [seen(dataUrl, "left?")] },
    });
    for await (const _ of stream) break;
    await expect.poll(() => edge.node.abandoned(), { timeout: 5000 }).toBe(abandoned + 1);
    pause.resolve();
  });
});

describe("what cannot be done is refused by name", () => {
  const tool = {
    type: "function",
    function: { name: "f", parameters: { type: "object" } },
  } as const;
  test.each<[string, Partial<OpenAI.ChatCompletionCreateParamsNonStreaming>]>([
    ["n", { n: 2 }],
    ["tools", { tools: [tool] }],
    ["response_format", { response_format: { type: "json_object" } }],
    ["logprobs", { logprobs: true }],
    ["stop", { stop: ["."] }],
    ["frequency_penalty", { frequency_penalty: 0.5 }],
    ["stream_options", { stream_options: { include_usage: true } }],
    [
      "messages[0].content",
      { messages: [{ role: "system", content: "Be brief." }, seen(dataUrl)] },
    ],
    ["messages[1]", { messages: [seen(dataUrl), { role: "assistant", content: "a cat" }] }],
    ["messages[0].role", { messages: [{ role: "tool", content: "a", tool_call_id: "b" }] }],
  ])("%s", async (param, asked) => {
    const call = openai.chat.completions.create({ model, messages: [seen(dataUrl)], ...asked });
    const error: unknown = await call.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({
      status: 400,
      code: "invalid_request",
      type: "invalid_request_error",
    });
    expect((error as BadRequestError).param).toContain(param);
    expect((error as BadRequestError).message).toContain(param);
  });

  test("no image, and two", async () => {
    const ask = (messages: OpenAI.ChatCompletionMessageParam[]) =>
      openai.chat.completions.create({ model, messages });
    const none = ask([{ role: "user", content: "hello" }]);
    await expect(none).rejects.toMatchObject({ status: 400, code: "image_required" });
    const image = { type: "image_url", image_url: { url: dataUrl } } as const;
    const two = ask([{ role: "user", content: [image, image] }]);
    await expect(two).rejects.toMatchObject({ status: 400, code: "image_ambiguous" });
  });
});

describe("errors have their classes", () => {
  test("401, 404, 429", async () => {
    const stranger = new OpenAI({ baseURL: `${edge.url}/v1`, apiKey: "b2e_nobody" });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(AuthenticationError);
    const unknown = openai.chat.completions.create({ model: "gpt-5", messages: [seen(dataUrl)] });
    await expect(unknown).rejects.toBeInstanceOf(NotFoundError);
    const { key } = await createClient({ url: edge.url, key: vars.OPERATOR_KEYS }).keyCreate({
      ...{ name: "small", tenant: "ada", limits: { inferences_per_day: 1 } },
    });
    let calls = 0;
    const small = new OpenAI({
      ...{ baseURL: `${edge.url}/v1`, apiKey: key },
      fetch: (...call) => fetch(...call).finally(() => (calls += 1)),
    });
    const input = ["one", "two"];
    await expect(
      small.embeddings.create({ model: fakeRetrieval.model, input }),
    ).rejects.toBeInstanceOf(RateLimitError);
    // It is not tried again: it would never fit.
    expect(calls).toBe(1);
  });

  test("what may pass is tried again", async () => {
    edge.node.failNext({
      kind: "problem",
      error: new AppError("overloaded", "", { retryAfterS: 1 }),
    });
    const completion = await openai.chat.completions.create({
      model,
      messages: [seen(dataUrl, "busy?")],
    });
    expect(completion.choices[0]?.message.content).toContain("busy?");
  });
});

describe("embeddings.create", () => {
  const create = (more: Partial<OpenAI.EmbeddingCreateParams> = {}) =>
    openai.embeddings.create({
      model: fakeRetrieval.model,
      input: ["a cat", "a dog", "a cat"],
      ...more,
    });
  const vectorOf = (text: string) => Array.from(fakeVectors(text, "projected", 1));

  test("gives the vectors of texts, in base64 by default and as numbers", async () => {
    const before = edge.node.askedToEmbed.length;
    for (const format of [undefined, "base64", "float"] as const) {
      const {
        data,
        model: by,
        object,
      } = await create(format === undefined ? {} : { encoding_format: format });
      expect([object, by, data.length]).toEqual(["list", fakeRetrieval.model, 3]);
      const vectors = data.map(({ embedding }) => embedding as unknown);
      if (format !== "base64") {
        expect(vectors).toEqual(["a cat", "a dog", "a cat"].map(vectorOf));
      }
    }
    // Asked once, each text once.
    expect(edge.node.askedToEmbed.length).toBe(before + 1);
    expect(edge.node.askedToEmbed.at(-1)?.request).toMatchObject({ texts: ["a cat", "a dog"] });
    const one = await create({ input: "a cat", dimensions: fakeDim.projected });
    expect(one.data[0]?.embedding).toEqual(vectorOf("a cat"));
  });

  test.each<[string, Partial<OpenAI.EmbeddingCreateParams>]>([
    ["dimensions", { dimensions: 3 }],
    ["input", { input: [1, 2, 3] }],
    ["input", { input: "" }],
    ["model", { model: fakeModel.model }],
  ])("refuses %s", async (param, asked) => {
    await expect(create(asked)).rejects.toMatchObject({ status: 400, param });
  });
});

test("models.list and models.retrieve", async () => {
  const { data: models } = await openai.models.list();
  expect(models.map(({ id }) => id)).toEqual([fakeModel.model, fakeRetrieval.model]);
  expect(await openai.models.retrieve(fakeModel.model)).toEqual(models[0]);
  const other = openai.models.retrieve("other");
  await expect(other).rejects.toMatchObject({ status: 404, code: "model_not_found" });
});
