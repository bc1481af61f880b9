// The API as an OpenAPI 3.1 document, read off the route table: paths, fields, answers, every problem of every
// route. Nothing in it is written a second time by hand but what headers mean.
import { z } from "zod";
import { openAiErrorSchema } from "./contracts/openai.ts";
import { imageInputSchema } from "./contracts/image.ts";
import { keySchema } from "./contracts/keys.ts";
import { usageSchema } from "./contracts/generation.ts";
import { problemSchema } from "./contracts/problem.ts";
import { problemKinds } from "./problem.ts";
import { pathFields, routeList } from "./routes.ts";
import type { Route } from "./routes/route.ts";
import { eventStreamType } from "./sse.ts";

/** JSON Schema 2020-12, as far as anything here looks into one. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly [keyword: string]: unknown;
}

interface MediaType {
  readonly schema: JsonSchema;
  readonly encoding?: Readonly<Record<string, { readonly contentType: string }>>;
}

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly description?: string;
  readonly schema: JsonSchema;
}

export interface Answer {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly $ref: string }>>;
  readonly content?: Readonly<Record<string, MediaType>>;
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters: readonly Parameter[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: Readonly<Record<string, MediaType>>;
  };
  readonly responses: Readonly<Record<string, Answer>>;
}

export interface OpenApiDocument {
  readonly openapi: "3.1.1";
  readonly info: Readonly<Record<string, unknown>>;
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly securitySchemes: Readonly<Record<string, unknown>>;
    readonly headers: Readonly<Record<string, unknown>>;
    readonly schemas: Readonly<Record<string, JsonSchema>>;
  };
}

const headers = {
  "X-Request-Id": "Names this request in the Worker's log.",
  "Server-Timing": "Milliseconds at the Worker; of a stream, until it begins.",
  "RateLimit-Policy":
    "Every limit of the key (draft-ietf-httpapi-ratelimit-headers-10); absent without limits.",
  RateLimit: "What is left of them, as far as this request has learnt it.",
  "Retry-After": "Seconds after which the same request may succeed.",
  "WWW-Authenticate": "How to authenticate (RFC 9110, 11.6.1).",
  ETag: "Strong: equal tags mean equal bytes.",
  "Cache-Status": "Whether the result was cached (RFC 9211).",
  "Blip2-Served":
    "What was done for it: `cache`, `stale` (the picture's address is past its time), `revalidated` (its origin says it is the same), `shared` (waited for an equal request) or `live` (a node was asked).",
  "Idempotent-Replayed": "`true`: the answer to an earlier request with the same Idempotency-Key.",
  Link: 'Where to go on, as `rel="next"` (RFC 8288).',
} as const;
type HeaderName = keyof typeof headers;

const problemWithErrorSchema = problemSchema.extend({
  error: openAiErrorSchema.describe("The same for OpenAI's clients."),
});

const refTo = (kind: "schemas" | "headers", name: string) => ({
  $ref: `#/components/${kind}/${name}`,
});
const headersNamed = (names: readonly HeaderName[]) =>
  Object.fromEntries(names.map((name) => [name, refTo("headers", name)]));

/** `KeyCreateRequest` of the route `keyCreate`. */
const nameOf = (id: string, what: string): string =>
  `${id.charAt(0).toUpperCase()}${id.slice(1)}${what}`;

export function openApiDocument(routes: readonly Route[] = routeList): OpenApiDocument {
  const schemas = componentSchemas(routes);
  const paths: Record<string, Record<string, Operation>> = {};
  for (const route of routes) {
    const at = (paths[route.path] ??= {});
    at[route.method.toLowerCase()] = operationOf(route, schemas.nameOf);
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "blip2-edge",
      version: "1",
      description:
        "What is in this picture? Captions, answers, matching and vectors by BLIP-2. Every failure is a problem document (RFC 9457). Fields that a request does not know are refused by name; an answer may gain fields.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    paths,
    components: {
      securitySchemes: {
        key: { type: "http", scheme: "bearer", description: "An API key; see POST /v1/keys." },
      },
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, description]) => [
          name,
          { description, schema: { type: name === "Retry-After" ? "integer" : "string" } },
        ]),
      ),
      schemas: schemas.all,
    },
  };
}

type NameOf = (schema: z.ZodType) => string;

/** Every schema that travels, each under one name, whichever routes share it. */
function componentSchemas(routes: readonly Route[]): {
  readonly all: Readonly<Record<string, JsonSchema>>;
  readonly nameOf: NameOf;
} {
  const registry = z.registry<{ id: string }>();
  const add = (schema: z.ZodType, id: string): void => {
    if (!registry.has(schema)) registry.add(schema, { id });
  };
  add(problemSchema, "Problem");
  add(problemWithErrorSchema, "ProblemWithError");
  add(imageInputSchema, "ImageInput");
  add(usageSchema, "Usage");
  add(keySchema, "Key");
  const inPath = new Map<string, readonly string[]>();
  for (const { id, path, input, response } of routes) {
    if (input.kind === "json" || input.kind === "image" || input.kind === "images") {
      add(input.schema, nameOf(id, "Request"));
      inPath.set(nameOf(id, "Request"), pathFields(path));
    }
    if (input.kind === "image" || input.kind === "images") {
      add(input.options, nameOf(id, "Options"));
      inPath.set(nameOf(id, "Options"), pathFields(path));
    }
    add(response, nameOf(id, "Response"));
  }
  const { schemas } = z.toJSONSchema(registry, {
    // What is sent; an answer may gain fields, which only the input side of a schema says.
    io: "input",
    uri: (id) => refTo("schemas", id).$ref,
    override: ({ jsonSchema }) => withoutSafeBounds(jsonSchema),
  });
  const all: Record<string, JsonSchema> = {};
  for (const [id, emitted] of Object.entries(schemas)) {
    const { $schema: _, $id: __, ...schema } = emitted;
    all[id] = withoutFields(schema as JsonSchema, inPath.get(id) ?? []);
  }
  return {
    all,
    nameOf(schema) {
      const named = registry.get(schema);
      if (named === undefined) throw new Error("a schema without a name");
      return named.id;
    },
  };
}

/** Zod bounds every integer by what a double holds exactly, which is nobody's business here. */
function withoutSafeBounds(schema: { minimum?: unknown; maximum?: unknown }): void {
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
}

/** A body without the fields that travel in the path. */
function withoutFields(schema: JsonSchema, names: readonly string[]): JsonSchema {
  if (names.length === 0 || schema.properties === undefined) return schema;
  const { required, properties, ...rest } = schema;
  const left = (required ?? []).filter((name) => !names.includes(name));
  return {
    ...rest,
    properties: Object.fromEntries(
      Object.entries(properties).filter(([name]) => !names.includes(name)),
    ),
    ...(left.length === 0 ? {} : { required: left }),
  };
}

function operationOf(route: Route, name: NameOf): Operation {
  const { id, summary } = route;
  const body = bodyOf(route, name);
  return {
    operationId: id,
    summary,
    security: securityOf(route),
    parameters: parametersOf(route),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: { ...successOf(route, name), ...problemsOf(route) },
  };
}

function securityOf({ scope, signable }: Route): Operation["security"] {
  if (scope === null) return [];
  const byKey = { key: scope === "any" ? [] : [scope] };
  // An empty requirement: none is needed.
  return signable === true ? [byKey, {}] : [byKey];
}

const idempotencyKey: Parameter = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description:
    "What is asked with the same key is done once (draft-ietf-httpapi-idempotency-key-header).",
  schema: { type: "string" },
};

function parametersOf({ path, input, makesOnce }: Route): Parameter[] {
  const inPath = pathFields(path);
  if (input.kind === "none") return [];
  const inHeader = makesOnce === true ? [idempotencyKey] : [];
  // A query is text, from which numbers are read: what they are is on the output side of its schema.
  const schema = z.toJSONSchema(input.schema, {
    io: input.kind === "query" ? "output" : "input",
    override: ({ jsonSchema }) => withoutSafeBounds(jsonSchema),
  }) as JsonSchema;
  const named = Object.entries(schema.properties ?? {});
  const fields = named
    .filter(([name]) => input.kind === "query" || inPath.includes(name))
    .map(([name, { description, ...field }]): Parameter => ({
      name,
      in: inPath.includes(name) ? "path" : "query",
      required: schema.required?.includes(name) ?? false,
      ...(description === undefined ? {} : { description }),
      schema: field,
    }));
  return [...fields, ...inHeader];
}

function bodyOf({ input }: Route, name: NameOf): Operation["requestBody"] {
  if (input.kind === "none" || input.kind === "query") return undefined;
  const json = { schema: refTo("schemas", name(input.schema)) };
  if (input.kind === "json") {
    // None at all is an empty object.
    const required = !input.schema.safeParse({}).success;
    return { required, content: { "application/json": json } };
  }
  const file = { contentMediaType: "application/octet-stream" };
  return {
    required: true,
    content: {
      "application/json": json,
      "multipart/form-data": {
        schema: {
          type: "object",
          properties: {
            image:
              input.kind === "image"
                ? { description: "The file.", ...file }
                : { description: "The files, in their order.", type: "array", items: file },
            request: refTo("schemas", name(input.options)),
          },
          required: input.kind === "image" ? ["image"] : ["request"],
          additionalProperties: false,
        },
        encoding: { request: { contentType: "application/json" } },
      },
    },
  };
}

const linesType = "application/x-ndjson";
const always: readonly HeaderName[] = ["X-Request-Id", "Server-Timing"];
const ofKeys: readonly HeaderName[] = ["RateLimit-Policy", "RateLimit"];

function successOf(route: Route, name: NameOf): Record<string, Answer> {
  const { response, streams, lines, makesOnce, cached, method, scope, status = 200, media } = route;
  const names: HeaderName[] = [
    ...always,
    ...(scope === null ? [] : ofKeys),
    ...(cached === true ? (["ETag"] as const) : []),
    ...(cached === true && scope !== null ? (["Cache-Status", "Blip2-Served"] as const) : []),
    ...(makesOnce === true ? (["Idempotent-Replayed"] as const) : []),
    ...(lines === true ? (["Link"] as const) : []),
  ];
  const answer: Answer = {
    description: "What was asked for.",
    headers: headersNamed(names),
    content: {
      [media ?? "application/json"]: { schema: refTo("schemas", name(response)) },
      ...(streams !== undefined
        ? {
            [eventStreamType]: {
              schema: {
                type: "string",
                description: "With `stream: true`; docs/api.md says which events come.",
              },
            },
          }
        : {}),
      ...(lines === true
        ? {
            [linesType]: {
              schema: {
                type: "string",
                description: "With `format=ndjson`; where to go on stands in the header Link.",
              },
            },
          }
        : {}),
    },
  };
  return {
    [status]: answer,
    ...(cached === true && method === "GET"
      ? {
          304: {
            description: "What If-None-Match names is current.",
            headers: headersNamed(names),
          },
        }
      : {}),
  };
}

function problemsOf({ problems, scope, dialect }: Route): Record<string, Answer> {
  const byStatus = Map.groupBy(
    [...problems, "internal" as const],
    (code) => problemKinds[code].status,
  );
  return Object.fromEntries(
    Array.from(byStatus, ([status, of]) => [
      status,
      {
        description: of.map((code) => `\`${code}\`: ${problemKinds[code].title}.`).join(" "),
        headers: headersNamed([
          ...always,
          ...(scope === null ? [] : ofKeys),
          ...(status === 401 ? (["WWW-Authenticate"] as const) : []),
          ...(of.some((code) => problemKinds[code].retryable) ? (["Retry-After"] as const) : []),
        ]),
        content: {
          "application/problem+json": {
            schema: {
              allOf: [
                refTo("schemas", dialect === "openai" ? "ProblemWithError" : "Problem"),
                { type: "object", properties: { code: { enum: of }, status: { const: status } } },
              ],
            },
          },
        },
      },
    ]),
  );
}
