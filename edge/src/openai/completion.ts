// A turn of a conversation in OpenAI's words: a chat completion, whole or in chunks.
import type { ChatChunk, ChatResponse, ChatUsage } from "@blip2-edge/shared/contracts/chat";
import { openAiError } from "@blip2-edge/shared/contracts/openai";
import { toProblem } from "@blip2-edge/shared/problem";
import { writeServerSentEvent } from "@blip2-edge/shared/sse";
import type { StreamWriter } from "../routes/respond-streaming.ts";
import type { ChatTurn } from "../tasks/chat.ts";

export interface CompletionHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
}

function usageOf({ usage }: ChatTurn): ChatUsage {
  const { image_tokens, prompt_tokens, completion_tokens } = usage;
  const read = image_tokens + prompt_tokens;
  return {
    prompt_tokens: read,
    completion_tokens,
    total_tokens: read + completion_tokens,
  };
}

export function completionOf(head: CompletionHead, turn: ChatTurn): ChatResponse {
  const { text, finish_reason, log_prob, image_id, image_exact } = turn;
  return {
    object: "chat.completion",
    ...head,
    model: turn.model,
    system_fingerprint: turn.model_revision,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: text, refusal: null },
        logprobs: null,
        finish_reason,
      },
    ],
    usage: usageOf(turn),
    image_id,
    ...(image_exact === undefined ? {} : { image_exact }),
    log_prob,
  };
}

interface By {
  readonly model: string;
  readonly model_revision: string;
}

/** The chunks of a completion, the last of which, if it is wanted, says what it cost. */
export function chunksOf(head: CompletionHead, includeUsage: boolean): StreamWriter<ChatTurn> {
  let said: string | undefined;
  const chunk = (
    { model, model_revision }: By,
    choice: Omit<ChatChunk["choices"][number], "index" | "logprobs"> | undefined,
    usage: ChatUsage | null = null,
  ): string => {
    const data: ChatChunk = {
      object: "chat.completion.chunk",
      ...head,
      model,
      system_fingerprint: model_revision,
      choices: choice === undefined ? [] : [{ index: 0, logprobs: null, ...choice }],
      // As OpenAI has it: null in every chunk but the last.
      ...(includeUsage ? { usage } : {}),
    };
    return writeServerSentEvent("", data);
  };
  const says = (by: By, content: string): string => {
    const role = said === undefined ? ({ role: "assistant" } as const) : {};
    said = (said ?? "") + content;
    return chunk(by, { delta: { ...role, content }, finish_reason: null });
  };
  return {
    text: (_, text, model) => says(model, text),
    result: ({ body }) =>
      [
        chunk(body, { delta: {}, finish_reason: body.finish_reason }),
        ...(includeUsage ? [chunk(body, undefined, usageOf(body))] : []),
        "data: [DONE]\n\n",
      ].join(""),
    problem: (error) => writeServerSentEvent("", { error: openAiError(toProblem(error)) }),
  };
}
