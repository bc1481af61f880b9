// What a conversation in OpenAI's shape comes to: one picture, and the turns about it. Pure functions; what a
// model reads of them is said here and nowhere else.
import type { ChatMessage } from "@blip2-edge/shared/contracts/chat";
import { applyTemplate } from "@blip2-edge/shared/contracts/question-template";
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";

/** A question with its answer; the last has none yet. A question may be missing: the picture was captioned. */
export interface Turn {
  readonly question: string;
  readonly answer: string | undefined;
}

export interface Conversation {
  /** As it stands in the message. */
  readonly imageUrl: string;
  /** The last one is what is asked; none: a caption is wanted. */
  readonly turns: readonly Turn[];
}

/**
 * Earlier turns are dropped, the oldest first, while the text is longer. The models read some 512 tokens; the
 * edge knows no tokens, and three characters a token is a low guess for English.
 */
export const maxPromptCharacters = 1500;

const imagesOf = ({ role, content }: ChatMessage): string[] =>
  role === "user" && Array.isArray(content)
    ? content.flatMap((part) => (part.type === "image_url" ? [part.image_url.url] : []))
    : [];

const textOf = ({ content }: ChatMessage): string =>
  (Array.isArray(content)
    ? content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join(" ")
    : content
  ).trim();

/** Throws image_required, image_ambiguous, invalid_request. */
export function readConversation(messages: readonly ChatMessage[]): Conversation {
  const start = messages.findLastIndex((message) => imagesOf(message).length > 0);
  const first = messages[start];
  if (first === undefined) {
    throw new AppError(
      "image_required",
      'A user message must hold an image: {"type":"image_url","image_url":{"url":"https://… or data:image/…"}}.',
    );
  }
  const [imageUrl = "", ...more] = imagesOf(first);
  if (more.length > 0) {
    throw new AppError("image_ambiguous", "One message holds several images. Send one at a time.");
  }
  const last = messages.length - 1;
  if (messages[last]?.role !== "user") {
    throw invalidRequest([{ field: `messages[${last}]`, message: "must be the user's" }]);
  }
  const turns = turnsOf(messages.slice(start));
  const asked = turns.at(-1);
  if (turns.length > 1 && asked?.question === "") {
    throw invalidRequest([{ field: `messages[${last}].content`, message: "asks nothing" }]);
  }
  return { imageUrl, turns: asked?.question === "" ? [] : turns };
}

/** Texts of one side that follow each other are one text. */
function turnsOf(messages: readonly ChatMessage[]): Turn[] {
  const turns: { question: string; answer: string | undefined }[] = [];
  for (const message of messages) {
    const text = textOf(message);
    const open = turns.at(-1);
    if (message.role === "assistant") {
      if (open !== undefined) open.answer = joined(open.answer ?? "", text);
    } else if (message.role === "user") {
      if (open === undefined || open.answer !== undefined) {
        turns.push({ question: text, answer: undefined });
      } else {
        open.question = joined(open.question, text);
      }
    }
  }
  return turns;
}

const joined = (one: string, other: string): string =>
  [one, other].filter((text) => text !== "").join(" ");

/** As BLIP-2 was shown dialogues: each question in the model's template, its answer behind it. */
export function promptOf(turns: readonly Turn[], template: string): string {
  const texts = turns.map(({ question, answer }) =>
    joined(question === "" ? "" : applyTemplate(template, question), answer ?? ""),
  );
  const lengthOf = (some: readonly string[]): number => some.join(" ").length;
  let from = 0;
  while (from < texts.length - 1 && lengthOf(texts.slice(from)) > maxPromptCharacters) from += 1;
  return texts.slice(from).join(" ");
}
