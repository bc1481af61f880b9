// The AI SDK with its provider for OpenAI's shape, unchanged, before the Worker.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embed, embedMany, generateText, streamText } from "ai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startEdge, type Edge } from "../support/edge.ts";
import { fakeVectors } from "../support/fake-answers.ts";
import { fakeModel, fakeRetrieval } from "../support/fake-node.ts";
import { jpeg } from "../support/pictures.ts";

const picture = await jpeg(61);
let edge: Edge;
let provider: ReturnType<typeof createOpenAICompatible>;
beforeAll(async () => {
  edge = await startEdge();
  provider = createOpenAICompatible({
    name: "blip2-edge",
    baseURL: `${edge.url}/v1`,
    apiKey: edge.ada,
    includeUsage: true,
  });
});
afterAll(() => edge?.stop());

const about = (text: string) => ({
  model: provider.chatModel(fakeModel.model),
  messages: [
    {
      role: "user" as const,
      content: [
        { type: "text" as const, text },
        { type: "image" as const, image: picture, mediaType: "image/jpeg" },
      ],
    },
  ],
});

test("generateText", async () => {
  const { text, finishReason, usage } = await generateText(about("what is it?"));
  expect(text).toBe(`Question: what is it? Answer: ${edge.node.lastPicture()}`);
  expect(finishReason).toBe("stop");
  expect(usage).toMatchObject({ inputTokens: 33, outputTokens: 3, totalTokens: 36 });
});

test("streamText", async () => {
  const pause = Promise.withResolvers<void>();
  edge.node.failNext({ kind: "after_first_text", wait: pause.promise });
  const result = streamText(about("streamed?"));
  const pieces: string[] = [];
  for await (const piece of result.textStream) {
    pieces.push(piece);
    pause.resolve();
  }
  expect(pieces.length).toBeGreaterThan(1);
  expect(pieces.join("")).toBe(`Question: streamed? Answer: ${edge.node.lastPicture()}`);
  expect(await result.finishReason).toBe("stop");
  expect(await result.usage).toMatchObject({ totalTokens: 36 });
});

test("embed and embedMany", async () => {
  const model = provider.embeddingModel(fakeRetrieval.model);
  const vectorOf = (text: string) => Array.from(fakeVectors(text, "projected", 1));
  expect((await embed({ model, value: "a cat" })).embedding).toEqual(vectorOf("a cat"));
  const { embeddings } = await embedMany({ model, values: ["a cat", "a dog"] });
  expect(embeddings).toEqual(["a cat", "a dog"].map(vectorOf));
});

test("a refusal is the SDK's error with our words", async () => {
  const call = generateText({ ...about("what?"), instructions: "Be brief.", maxRetries: 0 });
  const error: unknown = await call.catch((reason: unknown) => reason);
  expect(APICallError.isInstance(error)).toBe(true);
  expect(error).toMatchObject({ statusCode: 400, isRetryable: false });
  expect((error as Error).message).toContain("these models take no instructions");
});
