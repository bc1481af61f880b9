// The typed client of the public API, read off the route table. It runs wherever fetch does.
// Every failure, of the network too, is an AppError; nothing is retried here.
import type { z } from "zod";
import type { ImageInput } from "./contracts/image.ts";
import { readBounded } from "./read-bounded.ts";
import { AppError, fromProblem } from "./problem.ts";
import {
  type Route,
  type RouteId,
  type RouteInput,
  type RouteResponse,
  pathFields,
  routeList,
  type routes,
} from "./routes.ts";

/** A picture as the API takes it, or its file's bytes, which are sent as they are (multipart). */
export type ClientImage = ImageInput | { readonly bytes: Uint8Array };

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** The request's picture may also be a file's bytes. */
type WithBytes<Request> = Request extends { readonly image: ImageInput }
  ? Omit<Request, "image"> & { readonly image: ClientImage }
  : Request;

type Call<Input extends RouteInput, Answer> = Input extends { readonly schema: infer Schema }
  ? (
      request: Input["kind"] extends "image" ? WithBytes<z.output<Schema>> : z.output<Schema>,
      options?: CallOptions,
    ) => Promise<Answer>
  : (options?: CallOptions) => Promise<Answer>;

/** One method for each row of the table, named by its id. */
export type Client = {
  readonly [Id in RouteId]: Call<(typeof routes)[Id]["input"], RouteResponse<Id>>;
};

export interface ClientOptions {
  /** Where the API is; a path in it is kept. */
  readonly url: string | URL;
  readonly key: string;
  readonly fetch?: typeof globalThis.fetch;
  /** An answer that is longer is not read to its end. */
  readonly maxResponseBytes?: number;
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

type Fields = Readonly<Record<string, unknown>> & { readonly image?: ClientImage };

interface Body {
  /** The route's path with its fields in it. */
  readonly path?: string;
  readonly query?: Query;
  readonly json?: unknown;
  readonly form?: FormData;
}

/** Throws nothing itself; each call throws the API's problem, api_unreachable, api_unexpected, canceled or deadline_exceeded. */
export function createClient(options: ClientOptions): Client {
  const { key, maxResponseBytes = 8 * 1024 * 1024 } = options;
  const doFetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const base = new URL(options.url);

  const call = async (
    route: Route,
    { path = route.path, query, json, form }: Body,
    { signal }: CallOptions = {},
  ): Promise<unknown> => {
    const url = new URL(base);
    url.pathname = `${url.pathname.replace(/\/+$/, "")}${path}`;
    url.hash = "";
    url.search = searchOf(query);
    const headers = new Headers({ authorization: `Bearer ${key}`, accept: "application/json" });
    if (json !== undefined) headers.set("content-type", "application/json");
    try {
      const response = await doFetch(url, {
        method: route.method,
        headers,
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
        ...(form === undefined ? {} : { body: form }),
        ...(signal === undefined ? {} : { signal }),
      });
      const text = await readText(response, maxResponseBytes);
      return readAnswer(response.status, text, route.response);
    } catch (error) {
      throw asAppError(error, base, signal);
    }
  };

  const methodOf = (route: Route) =>
    route.input.kind === "none"
      ? (callOptions?: CallOptions) => call(route, {}, callOptions)
      : (request: Fields, callOptions?: CallOptions) =>
          call(route, bodyOf(route, request), callOptions);
  // The compiler reads the table for `Client`, this line for the methods: both see the same rows.
  const methods: unknown = Object.fromEntries(
    routeList.map((route) => [route.id, methodOf(route)]),
  );
  return methods as Client;
}

function searchOf(query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return search.toString();
}

function bodyOf({ path: template, input }: Route, request: Fields): Body {
  const inPath = pathFields(template);
  const rest = Object.fromEntries(
    Object.entries(request).filter(([name]) => !inPath.includes(name)),
  );
  const path = inPath.reduce(
    (path, name) => path.replace(`{${name}}`, () => encodeURIComponent(String(request[name]))),
    template,
  );
  if (input.kind === "query") return { path, query: rest as Query };
  if (input.kind === "json") return { path, json: rest };
  const { image, ...fields } = request;
  if (image === undefined || !("bytes" in image)) return { json: request };
  const form = new FormData();
  form.set("request", JSON.stringify(fields));
  form.set("image", new Blob([new Uint8Array(image.bytes)]), "image");
  return { form };
}

async function readText(response: Response, maxBytes: number): Promise<string> {
  const read = await readBounded(response.body, maxBytes);
  if (read.ok) return new TextDecoder().decode(read.bytes);
  throw new AppError("api_unexpected", `The API's answer is longer than ${maxBytes} bytes.`);
}

function readAnswer(status: number, text: string, schema: z.ZodType): unknown {
  const body = parseJson(text);
  if (status >= 200 && status < 300) {
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    throw new AppError("api_unexpected", "The API's answer does not have the expected form.", {
      internal: parsed.error.message,
    });
  }
  throw (
    fromProblem(body) ??
    new AppError(
      "api_unexpected",
      `The API answered with status ${status} and no problem document. Is the URL that of a blip2-edge Worker?`,
    )
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asAppError(error: unknown, url: URL, signal: AbortSignal | undefined): AppError {
  if (error instanceof AppError) return error;
  if (signal?.aborted) {
    const timedOut = (signal.reason as { name?: unknown } | undefined)?.name === "TimeoutError";
    return timedOut
      ? new AppError("deadline_exceeded", "The answer did not come in time.", { cause: error })
      : new AppError("canceled", "The call was canceled.", { cause: error });
  }
  return new AppError(
    "api_unreachable",
    `The API at ${url.origin} cannot be reached. Is it running, and is the address right?`,
    { cause: error },
  );
}
