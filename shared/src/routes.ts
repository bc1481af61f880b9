// THE TABLE of the public API. The Worker's router, the client and whatever describes the API read it;
// nobody writes a path, a scope or a schema a second time.
import type { z } from "zod";
import { purgeQuerySchema, purgeSchema } from "./contracts/cache.ts";
import {
  captionOptionsSchema,
  captionQuerySchema,
  captionRequestSchema,
  captionResponseSchema,
} from "./contracts/caption.ts";
import { chatRequestSchema, chatResponseSchema } from "./contracts/chat.ts";
import {
  classifyOptionsSchema,
  classifyRequestSchema,
  classifyResponseSchema,
} from "./contracts/classify.ts";
import { embedOptionsSchema, embedRequestSchema, embedResponseSchema } from "./contracts/embed.ts";
import { embeddingsRequestSchema, embeddingsResponseSchema } from "./contracts/embeddings.ts";
import {
  imageDeletedSchema,
  imageListQuerySchema,
  imageListSchema,
  imagePutOptionsSchema,
  imagePutRequestSchema,
  imageRecordSchema,
  imageUpdateRequestSchema,
  namespaceDeletedSchema,
  namespaceInfoSchema,
  oneImageSchema,
  oneNamespaceSchema,
} from "./contracts/images.ts";
import {
  createJobRequestSchema,
  jobDeletedSchema,
  jobListSchema,
  jobResultsQuerySchema,
  jobResultsSchema,
  jobSchema,
  listJobsQuerySchema,
  oneJobRequestSchema,
} from "./contracts/jobs.ts";
import {
  createKeyRequestSchema,
  keyListSchema,
  keySchema,
  keyWithSecretSchema,
  listKeysQuerySchema,
  oneKeyRequestSchema,
  rotateKeyRequestSchema,
  updateKeyRequestSchema,
  type Scope,
} from "./contracts/keys.ts";
import { mcpMessageSchema, mcpPath } from "./contracts/mcp.ts";
import { matchOptionsSchema, matchRequestSchema, matchResponseSchema } from "./contracts/match.ts";
import {
  healthSchema,
  modelListSchema,
  modelSchema,
  oneModelRequestSchema,
} from "./contracts/models.ts";
import { openApiSchema, pageSchema } from "./contracts/pages.ts";
import {
  searchOptionsSchema,
  searchRequestSchema,
  searchResponseSchema,
} from "./contracts/search.ts";
import { usageListSchema, usageQuerySchema } from "./contracts/usage.ts";
import { vqaOptionsSchema, vqaRequestSchema, vqaResponseSchema } from "./contracts/vqa.ts";
import type { ProblemCode } from "./problem.ts";
import { heartbeatPath, heartbeatResponseSchema, heartbeatSchema } from "./wire/heartbeat.ts";

/** What a key must be allowed; `any`: any valid key; null: anyone, without a key. */
export type RouteScope = Scope | "any" | null;

/**
 * How a request's fields travel. Those that the path names in braces travel there, whatever the kind. With `image` they come as JSON or as multipart (parts `image` and `request`). */
export type RouteInput =
  | { readonly kind: "none" }
  | { readonly kind: "query"; readonly schema: z.ZodType }
  | { readonly kind: "json"; readonly schema: z.ZodType }
  | {
      readonly kind: "image";
      /** The whole request as one JSON body. */
      readonly schema: z.ZodType;
      /** The same without its picture: the part `request`. */
      readonly options: z.ZodType;
    };

export interface Route {
  readonly id: string;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With the names of fields in braces: /v1/keys/{id}. */
  readonly path: string;
  readonly scope: RouteScope;
  readonly summary: string;
  readonly input: RouteInput;
  readonly response: z.ZodType;
  /**
   * With `stream: true` the answer comes as server-sent events: `events` as contracts/stream.ts has them,
   * `chunks` as OpenAI does.
   */
  readonly streams?: "events" | "chunks";
  /** Answers carry an ETag and tell of the cache; a GET may be answered 304. */
  readonly cached?: true;
  /** Of a success; 200 when left out. */
  readonly status?: 200 | 201;
  /** With `format=ndjson` the answer's entries come one a line, and where to go on in the header Link. */
  readonly lines?: true;
  /** Of a success; JSON when left out. What is a page is for people: clients have no method for it. */
  readonly media?: "text/html";
  /** A problem document has the member `error` as well, which OpenAI's clients read. */
  readonly dialect?: "openai";
  /** It makes something, and takes the header Idempotency-Key so that it is made once. */
  readonly makesOnce?: true;
  /** Every problem that the route may answer with, besides `internal`. */
  readonly problems: readonly ProblemCode[];
}

const keyProblems = ["unauthorized", "forbidden", "rate_limited"] as const;
/** Of the header Idempotency-Key. */
const onceProblems = ["idempotency_key_reused", "idempotency_in_progress"] as const;
/** Of what is counted where a node is asked. */
const quotaProblems = ["quota_exceeded", "concurrency_exceeded", "meter_unavailable"] as const;
const bodyProblems = [
  "invalid_request",
  "body_too_large",
  "request_timeout",
  "unsupported_media_type",
] as const;
const imageProblems = [
  "image_required",
  "image_ambiguous",
  "image_not_recognised",
  "image_type_unsupported",
  "image_corrupt",
  "image_too_large",
  "body_too_large",
] as const;
const storedImageProblems = ["image_not_found", "image_pixels_gone"] as const;
const fetchProblems = ["url_refused", "fetch_failed", "fetch_timeout", "fetch_too_large"] as const;
const modelProblems = ["model_not_found", "prompt_too_long"] as const;
const nodeProblems = [
  "node_unavailable",
  "node_protocol",
  "overloaded",
  "share_exceeded",
  "deadline_exceeded",
  "engine_restarted",
  "poison_request",
  "not_ready",
] as const;

const distinct = (...groups: readonly (readonly ProblemCode[])[]): readonly ProblemCode[] => [
  ...new Set(groups.flat()),
];
const inferenceProblems = distinct(
  keyProblems,
  quotaProblems,
  bodyProblems,
  imageProblems,
  storedImageProblems,
  fetchProblems,
  modelProblems,
  nodeProblems,
  ["canceled"],
);

export const routes = {
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
  jobCreate: {
    id: "jobCreate",
    method: "POST",
    path: "/v1/jobs",
    scope: "jobs",
    summary: "Starts a job: many pictures, worked off in the background.",
    input: { kind: "json", schema: createJobRequestSchema },
    response: jobSchema,
    status: 201,
    makesOnce: true,
    problems: distinct(keyProblems, bodyProblems, onceProblems, [
      "url_refused",
      "too_many_jobs",
      "overloaded",
      "canceled",
    ]),
  },
  jobList: {
    id: "jobList",
    method: "GET",
    path: "/v1/jobs",
    scope: "jobs",
    summary: "Lists the tenant's jobs, the newest first.",
    input: { kind: "query", schema: listJobsQuerySchema },
    response: jobListSchema,
    problems: distinct(keyProblems, ["invalid_request"]),
  },
  jobRead: {
    id: "jobRead",
    method: "GET",
    path: "/v1/jobs/{id}",
    scope: "jobs",
    summary: "Says how far a job is.",
    input: { kind: "query", schema: oneJobRequestSchema },
    response: jobSchema,
    problems: distinct(keyProblems, ["invalid_request", "not_found"]),
  },
  jobResults: {
    id: "jobResults",
    method: "GET",
    path: "/v1/jobs/{id}/results",
    scope: "jobs",
    summary: "Gives the results that are there, also while the job runs.",
    input: { kind: "query", schema: jobResultsQuerySchema },
    response: jobResultsSchema,
    lines: true,
    problems: distinct(keyProblems, ["invalid_request", "not_found"]),
  },
  jobCancel: {
    id: "jobCancel",
    method: "POST",
    path: "/v1/jobs/{id}/cancel",
    scope: "jobs",
    summary: "Ends a job; what is done stays.",
    input: { kind: "json", schema: oneJobRequestSchema },
    response: jobSchema,
    problems: distinct(keyProblems, bodyProblems, ["not_found", "canceled"]),
  },
  jobDelete: {
    id: "jobDelete",
    method: "DELETE",
    path: "/v1/jobs/{id}",
    scope: "jobs",
    summary: "Deletes a job with everything that was kept of it.",
    input: { kind: "query", schema: oneJobRequestSchema },
    response: jobDeletedSchema,
    problems: distinct(keyProblems, ["invalid_request", "not_found"]),
  },
  imagePut: {
    id: "imagePut",
    method: "PUT",
    path: "/v1/namespaces/{namespace}/images/{id}",
    scope: "index",
    summary: "Indexes a picture under the caller's own id; the same again changes nothing.",
    input: { kind: "image", schema: imagePutRequestSchema, options: imagePutOptionsSchema },
    response: imageRecordSchema,
    problems: distinct(inferenceProblems, ["index_outdated", "index_full"]),
  },
  imageRead: {
    id: "imageRead",
    method: "GET",
    path: "/v1/namespaces/{namespace}/images/{id}",
    scope: "search",
    summary: "Gives one record of a namespace.",
    input: { kind: "query", schema: oneImageSchema },
    response: imageRecordSchema,
    problems: distinct(keyProblems, ["invalid_request", "not_found"]),
  },
  imageList: {
    id: "imageList",
    method: "GET",
    path: "/v1/namespaces/{namespace}/images",
    scope: "search",
    summary: "Lists the records of a namespace by their ids.",
    input: { kind: "query", schema: imageListQuerySchema },
    response: imageListSchema,
    problems: distinct(keyProblems, ["invalid_request"]),
  },
  imageUpdate: {
    id: "imageUpdate",
    method: "PATCH",
    path: "/v1/namespaces/{namespace}/images/{id}",
    scope: "index",
    summary: "Changes what a record says of its picture.",
    input: { kind: "json", schema: imageUpdateRequestSchema },
    response: imageRecordSchema,
    problems: distinct(keyProblems, bodyProblems, ["not_found", "canceled"]),
  },
  imageDelete: {
    id: "imageDelete",
    method: "DELETE",
    path: "/v1/namespaces/{namespace}/images/{id}",
    scope: "index",
    summary: "Deletes a record, and its picture everywhere when no other record has it.",
    input: { kind: "query", schema: oneImageSchema },
    response: imageDeletedSchema,
    problems: distinct(keyProblems, ["invalid_request", "not_found"]),
  },
  namespaceRead: {
    id: "namespaceRead",
    method: "GET",
    path: "/v1/namespaces/{namespace}",
    scope: "search",
    summary: "Says how much a namespace holds, and by which model.",
    input: { kind: "query", schema: oneNamespaceSchema },
    response: namespaceInfoSchema,
    problems: distinct(keyProblems, ["invalid_request"]),
  },
  namespaceDelete: {
    id: "namespaceDelete",
    method: "DELETE",
    path: "/v1/namespaces/{namespace}",
    scope: "index",
    summary: "Deletes the records of a namespace, some hundred with each request.",
    input: { kind: "query", schema: oneNamespaceSchema },
    response: namespaceDeletedSchema,
    problems: distinct(keyProblems, ["invalid_request"]),
  },
  search: {
    id: "search",
    method: "POST",
    path: "/v1/search",
    scope: "search",
    summary: "Finds pictures by words, by a picture or by both, and says so when there is none.",
    input: { kind: "image", schema: searchRequestSchema, options: searchOptionsSchema },
    response: searchResponseSchema,
    problems: distinct(inferenceProblems, ["index_outdated"]),
  },
  keyCreate: {
    id: "keyCreate",
    method: "POST",
    path: "/v1/keys",
    scope: "admin",
    summary: "Makes a key. Its secret is in this answer and nowhere else.",
    input: { kind: "json", schema: createKeyRequestSchema },
    response: keyWithSecretSchema,
    status: 201,
    makesOnce: true,
    problems: distinct(keyProblems, bodyProblems, onceProblems, ["canceled"]),
  },
  keyList: {
    id: "keyList",
    method: "GET",
    path: "/v1/keys",
    scope: "admin",
    summary: "Lists the tenant's keys, revoked ones too.",
    input: { kind: "query", schema: listKeysQuerySchema },
    response: keyListSchema,
    problems: distinct(keyProblems, ["invalid_request"]),
  },
  keyRead: {
    id: "keyRead",
    method: "GET",
    path: "/v1/keys/{id}",
    scope: "admin",
    summary: "Says what a key is and may do.",
    input: { kind: "query", schema: oneKeyRequestSchema },
    response: keySchema,
    problems: distinct(keyProblems, ["invalid_request", "not_found"]),
  },
  keyUpdate: {
    id: "keyUpdate",
    method: "PATCH",
    path: "/v1/keys/{id}",
    scope: "admin",
    summary: "Changes what a key may do and spend.",
    input: { kind: "json", schema: updateKeyRequestSchema },
    response: keySchema,
    problems: distinct(keyProblems, bodyProblems, ["not_found", "canceled"]),
  },
  keyRevoke: {
    id: "keyRevoke",
    method: "DELETE",
    path: "/v1/keys/{id}",
    scope: "admin",
    summary: "Ends a key for good.",
    input: { kind: "query", schema: oneKeyRequestSchema },
    response: keySchema,
    problems: distinct(keyProblems, ["invalid_request", "not_found"]),
  },
  keyRotate: {
    id: "keyRotate",
    method: "POST",
    path: "/v1/keys/{id}/rotate",
    scope: "admin",
    summary: "Gives a key a new secret; the one before works on for a while.",
    input: { kind: "json", schema: rotateKeyRequestSchema },
    response: keyWithSecretSchema,
    makesOnce: true,
    problems: distinct(keyProblems, bodyProblems, onceProblems, ["not_found", "canceled"]),
  },
  usage: {
    id: "usage",
    method: "GET",
    path: "/v1/usage",
    scope: "any",
    summary: "Says what keys have spent, by key and day.",
    input: { kind: "query", schema: usageQuerySchema },
    response: usageListSchema,
    problems: distinct(keyProblems, ["invalid_request", "not_found", "meter_unavailable"]),
  },
  cachePurge: {
    id: "cachePurge",
    method: "DELETE",
    path: "/v1/cache",
    scope: "admin",
    summary: "Forgets what is cached of a picture, of a model revision, of a tenant.",
    input: { kind: "query", schema: purgeQuerySchema },
    response: purgeSchema,
    problems: distinct(keyProblems, ["invalid_request"]),
  },
  health: {
    id: "health",
    method: "GET",
    path: "/healthz",
    scope: null,
    summary: "Answers while the Worker runs.",
    input: { kind: "none" },
    response: healthSchema,
    problems: [],
  },
  openapi: {
    id: "openapi",
    method: "GET",
    path: "/openapi.json",
    scope: null,
    summary: "This API as an OpenAPI 3.1 document.",
    input: { kind: "none" },
    response: openApiSchema,
    cached: true,
    problems: [],
  },
  reference: {
    id: "reference",
    method: "GET",
    path: "/docs",
    scope: null,
    summary: "The same as a page to read.",
    input: { kind: "none" },
    response: pageSchema,
    cached: true,
    media: "text/html",
    problems: [],
  },
  playground: {
    id: "playground",
    method: "GET",
    path: "/",
    scope: null,
    summary: "A page to try it all with.",
    input: { kind: "none" },
    response: pageSchema,
    cached: true,
    media: "text/html",
    problems: [],
  },
} as const satisfies Record<string, Route>;

/** What nodes call. Signed, not keyed, and no part of the public API: no client and no document reads it. */
export const nodeRoutes = {
  heartbeat: {
    id: "heartbeat",
    method: "POST",
    path: heartbeatPath,
    scope: null,
    summary: "A node announces itself.",
    input: { kind: "json", schema: heartbeatSchema },
    response: heartbeatResponseSchema,
    problems: [
      "signature_invalid",
      "forbidden",
      "invalid_request",
      "body_too_large",
      "request_timeout",
      "overloaded",
      "registry_unavailable",
      "canceled",
    ],
  },
} as const satisfies Record<string, Route>;
export type NodeRouteId = keyof typeof nodeRoutes;

/** Where agents speak a protocol of their own (MCP): no method of the client, no operation of the document. */
export const agentRoutes = {
  mcp: {
    id: "mcp",
    method: "POST",
    path: mcpPath,
    scope: "any",
    summary: "Tools for agents, as MCP over Streamable HTTP.",
    input: { kind: "none" },
    response: mcpMessageSchema,
    problems: distinct(keyProblems, [
      "body_too_large",
      "request_timeout",
      "overloaded",
      "canceled",
    ]),
  },
} as const satisfies Record<string, Route>;
export type AgentRouteId = keyof typeof agentRoutes;

export type RouteId = keyof typeof routes;
/** The rows that a program asks: all but the pages. */
export type CallId = {
  [Id in RouteId]: (typeof routes)[Id] extends { readonly media: "text/html" } ? never : Id;
}[RouteId];
/** The rows that stream. */
export type StreamId = {
  [Id in RouteId]: (typeof routes)[Id] extends { readonly streams: "events" } ? Id : never;
}[RouteId];
export type RouteResponse<Id extends RouteId> = z.output<(typeof routes)[Id]["response"]>;

/** The table as a list, for readers that treat every route alike. */
export const routeList: readonly Route[] = Object.values(routes);

/**
 * Whether asking twice is no worse than asking once: a POST that infers makes nothing, and what makes a
 * thing once is told by its key that it was asked before.
 */
export const isRepeatable = ({ method, scope, makesOnce }: Route): boolean =>
  method !== "POST" || scope === "infer" || scope === "search" || makesOnce === true;

/** The fields that travel in a route's path. */
export const pathFields = (path: string): string[] =>
  Array.from(path.matchAll(/\{(\w+)\}/g), ([, name = ""]) => name);
