// What a row of the table of the API says.
import type { z } from "zod";
import type { Scope } from "../contracts/keys.ts";
import type { ProblemCode } from "../problem.ts";

/** What a key must be allowed; `any`: any valid key; null: anyone, without a key. */
export type RouteScope = Scope | "any" | null;

/**
 * How a request's fields travel. Those that the path names in braces travel there, whatever the kind. With `image`
 * they come as JSON or as multipart (parts `image` and `request`); with `images` too, and then with a part `image`
 * for each entry of the field `images` that names no picture.
 */
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
    }
  | {
      readonly kind: "images";
      readonly schema: z.ZodType;
      /** The same, where entries may lack their picture: the part `request`. */
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
  /** Also answered without a key, to who has a link: its field `signed` names who answers for it. */
  readonly signable?: true;
  /** Of a success; 200 when left out. */
  readonly status?: 200 | 201;
  /** With `format=ndjson` the answer's entries come one a line, and where to go on in the header Link. */
  readonly lines?: true;
  /** Of a success; JSON when left out. What is a page or a picture is to be seen: clients have no method for it. */
  readonly media?: "text/html" | "image/*";
  /** A problem document has the member `error` as well, which OpenAI's clients read. */
  readonly dialect?: "openai";
  /** It makes something, and takes the header Idempotency-Key so that it is made once. */
  readonly makesOnce?: true;
  /** A POST after which asking again changes nothing. */
  readonly idempotent?: true;
  /** Every problem that the route may answer with, besides `internal`. */
  readonly problems: readonly ProblemCode[];
}
