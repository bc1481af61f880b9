// POST /v1/chat/completions and /v1/embeddings: OpenAI's shapes in, our tasks, OpenAI's shapes out.
import type { ChatRequest } from "@blip2-edge/shared/contracts/chat";
import type { EmbeddingsResponse } from "@blip2-edge/shared/contracts/embeddings";
import {
  maxGeneratedTokens,
  type GenerationRequest,
} from "@blip2-edge/shared/contracts/generation";
import { invalidRequest, parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { routes } from "@blip2-edge/shared/routes";
import { readEmbedding } from "@blip2-edge/shared/wire/embedding";
import type { Embedding } from "@blip2-edge/shared/wire/protocol";
import type { Context, Handler } from "hono";
import { cacheStatus } from "../cache/answer-headers.ts";
import type { AuthenticatedContext } from "../context.ts";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { chunksOf, completionOf } from "../openai/completion.ts";
import { readConversation } from "../openai/conversation.ts";
import { chat } from "../tasks/chat.ts";
import { embedTexts } from "../tasks/embed.ts";
import type { PictureSource } from "../tasks/open-picture.ts";
import { readFields } from "./read-body.ts";
import { readPicture } from "./read-picture.ts";
import { bodyLimits, callerContext } from "./request.ts";
import { respondStreaming } from "./respond-streaming.ts";

export function openAiRoutes(
  isolate: Isolate,
  now: () => number = Date.now,
): Record<"chatCompletions" | "embeddings", Handler<Env>> {
  const { settings } = isolate;
  /** A conversation may hold a picture, so its JSON may be long. */
  async function bodyOf(c: Context<Env>, context: AuthenticatedContext) {
    if (!/^application\/json\s*(;|$)/i.test(c.req.header("content-type") ?? "")) {
      throw new AppError("unsupported_media_type", "Send application/json.");
    }
    return (await readFields(c.req.raw, bodyLimits(settings), context)).json;
  }

  return {
    async chatCompletions(c) {
      const context = callerContext(c);
      const request = parseOrRefuse(routes.chatCompletions.input.schema, await bodyOf(c, context));
      const { imageUrl, turns } = readConversation(request.messages);
      const asked = {
        picture: pictureAt(imageUrl, settings.MAX_IMAGE_BYTES),
        model: request.model,
        turns,
        generation: generationOf(request),
      };
      const rooms = isolate.roomsFor(context);
      const head = {
        id: `chatcmpl-${context.requestId.replace(/^req_/, "")}`,
        created: Math.floor(now() / 1000),
      };
      if (request.stream === true) {
        const includeUsage = request.stream_options?.include_usage === true;
        return respondStreaming(c, chunksOf(head, includeUsage), (listener) =>
          chat(rooms, asked, context, listener),
        );
      }
      if (request.stream_options != null) {
        throw invalidRequest([{ field: "stream_options", message: "is for `stream: true`" }]);
      }
      const { body, outcome } = await chat(rooms, asked, context);
      return c.json(completionOf(head, body), 200, {
        "cache-control": "no-store",
        "cache-status": cacheStatus(outcome),
      });
    },

    async embeddings(c) {
      const context = callerContext(c);
      const asked = parseOrRefuse(routes.embeddings.input.schema, await bodyOf(c, context));
      const texts = typeof asked.input === "string" ? [asked.input] : asked.input;
      const done = await embedTexts(
        isolate.roomsFor(context),
        {
          model: asked.model,
          texts,
          features: "projected",
          dimensions: asked.dimensions ?? undefined,
        },
        context,
      );
      const list: EmbeddingsResponse = {
        object: "list",
        data: done.embeddings.map((embedding, index) => ({
          object: "embedding",
          index,
          embedding: asked.encoding_format === "base64" ? embedding.data : numbersOf(embedding),
        })),
        model: done.model.model,
        usage: { prompt_tokens: 0, total_tokens: 0 },
      };
      return c.json(list, 200, {
        "cache-control": "no-store",
        "cache-status": cacheStatus(done.outcome),
      });
    },
  };
}

const numbersOf = (embedding: Embedding): number[] => Array.from(readEmbedding(embedding) ?? []);

function pictureAt(url: string, maxBytes: number): PictureSource {
  const image = url.startsWith("img_")
    ? { image_id: url }
    : /^data:/i.test(url)
      ? { base64: url }
      : { url };
  return readPicture({ json: { image }, files: [] }, maxBytes).picture;
}

/** Without a temperature the best text, as everywhere here; drawing knows no top_k, as OpenAI has none. */
function generationOf(request: ChatRequest): GenerationRequest {
  const { temperature, top_p: topP, seed } = request;
  const maxTokens = request.max_completion_tokens ?? request.max_tokens;
  const draws = (temperature ?? 0) > 0 || (temperature == null && (topP ?? 1) < 1);
  return {
    ...(maxTokens == null ? {} : { max_new_tokens: Math.min(maxTokens, maxGeneratedTokens) }),
    ...(draws
      ? {
          do_sample: true,
          temperature: temperature ?? 1,
          top_p: topP ?? 1,
          top_k: 0,
          ...(seed == null ? {} : { seed }),
        }
      : {}),
  };
}
