import type { ChatMessage } from "@blip2-edge/shared/contracts/chat";
import { describe, expect, test } from "vitest";
import { maxPromptCharacters, promptOf, readConversation } from "./conversation.ts";

const imageAt = (url: string) => ({ type: "image_url" as const, image_url: { url } });
const shown = (url: string, text?: string): ChatMessage => ({
  role: "user",
  content: [imageAt(url), ...(text === undefined ? [] : [{ type: "text" as const, text }])],
});
const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });
const template = "Question: {} Answer:";
const promptFor = (...messages: ChatMessage[]) =>
  promptOf(readConversation(messages).turns, template);

describe("a conversation", () => {
  test("without text is a caption; with one, a question", () => {
    expect(readConversation([shown("a")])).toEqual({ imageUrl: "a", turns: [] });
    expect(readConversation([shown("a", " "), user("")]).turns).toEqual([]);
    expect(promptFor(shown("a", "what is it?"))).toBe("Question: what is it? Answer:");
  });

  test("has its turns in the model's template", () => {
    expect(promptFor(shown("a", "what?"), assistant("a cat"), user("which colour?"))).toBe(
      "Question: what? Answer: a cat Question: which colour? Answer:",
    );
    expect(promptFor(shown("a"), assistant("a cat"), user("which colour?"))).toBe(
      "a cat Question: which colour? Answer:",
    );
  });

  test("begins with the last message that has an image; texts of one side are one", () => {
    const { imageUrl, turns } = readConversation([
      shown("old", "what was it?"),
      assistant("a dog"),
      { role: "system", content: "" },
      shown("new"),
      user("what"),
      user("is it?"),
    ]);
    expect(imageUrl).toBe("new");
    expect(turns).toEqual([{ question: "what is it?", answer: undefined }]);
  });

  test.each<[string, ChatMessage[], string]>([
    ["no image", [user("what?")], "image_required"],
    [
      "two images in one message",
      [{ role: "user", content: [imageAt("a"), imageAt("b")] }],
      "image_ambiguous",
    ],
    ["an assistant that has the last word", [shown("a"), assistant("b")], "invalid_request"],
    ["a turn that asks nothing", [shown("a", "b?"), assistant("c"), user(" ")], "invalid_request"],
  ])("%s is refused", (_, messages, code) => {
    expect(() => readConversation(messages)).toThrow(expect.objectContaining({ code }));
  });

  test("that is long loses its oldest turns and never its question", () => {
    const turn = (index: number) => [user(`${index} ${"x".repeat(400)}?`), assistant("yes")];
    const prompt = promptFor(shown("a", "first?"), ...[1, 2, 3, 4, 5].flatMap(turn), user("last?"));
    expect(prompt.length).toBeLessThanOrEqual(maxPromptCharacters);
    expect(prompt).toMatch(/^Question: 3 x+\? Answer: yes .*Question: last\? Answer:$/);
    expect(promptFor(shown("a", "y".repeat(1900)))).toHaveLength(1900 + template.length - 2);
  });
});
