// Rows of the table of the API (../routes.ts): in OpenAI's shape.
import { chatRequestSchema, chatResponseSchema } from "../contracts/chat.ts";
import { embeddingsRequestSchema, embeddingsResponseSchema } from "../contracts/embeddings.ts";
import { modelListSchema, modelSchema, oneModelRequestSchema } from "../contracts/models.ts";
import {
  keyProblems,
  quotaProblems,
  bodyProblems,
  modelProblems,
  nodeProblems,
  distinct,
  inferenceProblems,
} from "./problems.ts";
import type { Route } from "./route.ts";

export const openaiRoutes = {
  models: {
    id: "models",
    method: "GET",
    path: "/v1/models",
    scope: "infer",
    summary: "Lists the models that can be asked, in OpenAI's shape.",
    input: { kind: "none" },
    response: modelListSchema,
    dialect: "openai",
    problems: distinct(keyProblems, nodeProblems),
  },
  modelRead: {
    id: "modelRead",
    method: "GET",
    path: "/v1/models/{model}",
    scope: "infer",
    summary: "Says what one model can be asked for.",
    input: { kind: "query", schema: oneModelRequestSchema },
    response: modelSchema,
    dialect: "openai",
    problems: distinct(keyProblems, ["invalid_request", "model_not_found"], nodeProblems),
  },
  chatCompletions: {
    id: "chatCompletions",
    method: "POST",
    path: "/v1/chat/completions",
    scope: "infer",
    summary: "Answers in a conversation about one picture, in OpenAI's shape.",
    input: { kind: "json", schema: chatRequestSchema },
    response: chatResponseSchema,
    streams: "chunks",
    dialect: "openai",
    problems: inferenceProblems,
  },
  embeddings: {
    id: "embeddings",
    method: "POST",
    path: "/v1/embeddings",
    scope: "infer",
    summary: "Gives the vectors of texts, in OpenAI's shape.",
    input: { kind: "json", schema: embeddingsRequestSchema },
    response: embeddingsResponseSchema,
    dialect: "openai",
    problems: distinct(keyProblems, quotaProblems, bodyProblems, modelProblems, nodeProblems, [
      "canceled",
    ]),
  },
} as const satisfies Record<string, Route>;
