// Rows of the table of the API (../routes.ts): what is asked about a picture.
import {
  captionOptionsSchema,
  captionQuerySchema,
  captionRequestSchema,
  captionResponseSchema,
} from "../contracts/caption.ts";
import {
  classifyOptionsSchema,
  classifyRequestSchema,
  classifyResponseSchema,
} from "../contracts/classify.ts";
import { embedOptionsSchema, embedRequestSchema, embedResponseSchema } from "../contracts/embed.ts";
import { matchOptionsSchema, matchRequestSchema, matchResponseSchema } from "../contracts/match.ts";
import { vqaOptionsSchema, vqaRequestSchema, vqaResponseSchema } from "../contracts/vqa.ts";
import {
  keyProblems,
  quotaProblems,
  imageProblems,
  fetchProblems,
  modelProblems,
  nodeProblems,
  distinct,
  inferenceProblems,
} from "./problems.ts";
import type { Route } from "./route.ts";

export const inferRoutes = {
  caption: {
    id: "caption",
    method: "POST",
    path: "/v1/caption",
    scope: "infer",
    summary: "Says what is in a picture.",
    input: { kind: "image", schema: captionRequestSchema, options: captionOptionsSchema },
    response: captionResponseSchema,
    cached: true,
    streams: "events",
    problems: inferenceProblems,
  },
  captionByUrl: {
    id: "captionByUrl",
    method: "GET",
    path: "/v1/caption",
    scope: "infer",
    summary: "Says what is in the picture behind a URL, as a request that caches understand.",
    input: { kind: "query", schema: captionQuerySchema },
    response: captionResponseSchema,
    cached: true,
    problems: distinct(
      keyProblems,
      quotaProblems,
      ["invalid_request"],
      imageProblems,
      fetchProblems,
      modelProblems,
      nodeProblems,
      ["canceled"],
    ),
  },
  vqa: {
    id: "vqa",
    method: "POST",
    path: "/v1/vqa",
    scope: "infer",
    summary: "Answers one question or several about a picture.",
    input: { kind: "image", schema: vqaRequestSchema, options: vqaOptionsSchema },
    response: vqaResponseSchema,
    cached: true,
    streams: "events",
    problems: inferenceProblems,
  },
  match: {
    id: "match",
    method: "POST",
    path: "/v1/match",
    scope: "infer",
    summary: "Says how well each of several texts fits a picture.",
    input: { kind: "image", schema: matchRequestSchema, options: matchOptionsSchema },
    response: matchResponseSchema,
    cached: true,
    problems: inferenceProblems,
  },
  classify: {
    id: "classify",
    method: "POST",
    path: "/v1/classify",
    scope: "infer",
    summary: "Sorts labels by how well they fit a picture.",
    input: { kind: "image", schema: classifyRequestSchema, options: classifyOptionsSchema },
    response: classifyResponseSchema,
    cached: true,
    problems: inferenceProblems,
  },
  embed: {
    id: "embed",
    method: "POST",
    path: "/v1/embed",
    scope: "infer",
    summary: "Gives the vectors of a picture or of a text.",
    input: { kind: "image", schema: embedRequestSchema, options: embedOptionsSchema },
    response: embedResponseSchema,
    cached: true,
    problems: inferenceProblems,
  },
} as const satisfies Record<string, Route>;
