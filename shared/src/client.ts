// The typed client of the public API, read off the route table: a method for each row, named by its id. It
// runs wherever fetch does. Every failure, of the network too, is an AppError. What may be asked twice is
// asked again after a failure that says it may pass.
import type { z } from "zod";
import { answerOf, eventsOf } from "./client/answer-of.ts";
import { realSleep, withRetries, type RetryPolicy } from "./client/attempts.ts";
import { requestOf, type ClientImage, type Fields } from "./client/request-of.ts";
import type { ImageInput } from "./contracts/image.ts";
import type { StreamEvent } from "./contracts/stream.ts";
import { AppError } from "./problem.ts";
import {
  isRepeatable,
  routeList,
  type CallId,
  type RouteResponse,
  type StreamId,
  type routes,
} from "./routes.ts";
import type { Route, RouteInput } from "./routes/route.ts";
import { eventStreamType } from "./sse.ts";

export type { ClientImage };

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** For the whole call, its retries too; instead of the client's. */
  readonly timeoutMs?: number;
  /** Of a row that makes something: calls with the same key make it once. Default: a new one for each call. */
  readonly idempotencyKey?: string;
  /** Makes the call a part of a trace (W3C Trace Context). */
  readonly traceparent?: string;
}

/** The request's picture may also be a file's bytes. */
type WithBytes<Request> = Request extends { readonly image: ImageInput }
  ? Omit<Request, "image"> & { readonly image: ClientImage }
  : "image" extends keyof Request
    ? Omit<Request, "image"> & { readonly image?: ClientImage | undefined }
    : Request;

/** So may those of its entries. */
type WithBytesInEach<Request> = Request extends { readonly images: readonly (infer Entry)[] }
  ? Omit<Request, "images"> & { readonly images: readonly WithBytes<Entry>[] }
  : Request;

type RequestOf<Input extends RouteInput, Fields> = Input["kind"] extends "image"
  ? WithBytes<Fields>
  : Input["kind"] extends "images"
    ? WithBytesInEach<Fields>
    : Fields;

type Call<Input extends RouteInput, Answer> = Input extends { readonly schema: infer Schema }
  ? (request: RequestOf<Input, z.output<Schema>>, options?: CallOptions) => Promise<Answer>
  : (options?: CallOptions) => Promise<Answer>;

/** A request of a route that streams; `stream: true` is added. */
type StreamRequest<Input extends RouteInput> = Input extends { readonly schema: infer Schema }
  ? Omit<WithBytes<z.output<Schema>>, "stream">
  : never;

export type Client = {
  readonly [Id in CallId]: Call<(typeof routes)[Id]["input"], RouteResponse<Id>>;
} & {
  /**
   * The same with the texts as they are written, for each row that streams. Leaving the loop ends the work.
   * Nothing is asked again once an event has come.
   */
  readonly streams: {
    readonly [Id in StreamId]: (
      request: StreamRequest<(typeof routes)[Id]["input"]>,
      options?: CallOptions,
    ) => AsyncGenerator<StreamEvent<RouteResponse<Id>>>;
  };
};

export interface ClientOptions extends Partial<RetryPolicy> {
  /** Where the API is; a path in it is kept. */
  readonly url: string | URL;
  readonly key: string;
  readonly fetch?: typeof globalThis.fetch;
  /** For a whole call, its retries too. Default: as long as it takes. */
  readonly timeoutMs?: number;
  /** An answer that is longer is not read to its end. */
  readonly maxResponseBytes?: number;
}

/**
 * Throws nothing itself; each call throws the API's problem, api_unreachable, api_unexpected, canceled or
 * deadline_exceeded.
 */
export function createClient(options: ClientOptions): Client {
  const { key, maxResponseBytes = 8 * 1024 * 1024 } = options;
  const doFetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const base = new URL(options.url);
  const policy: RetryPolicy = {
    maxRetries: options.maxRetries ?? 2,
    maxRetryWaitMs: options.maxRetryWaitMs ?? 10_000,
    sleep: options.sleep ?? realSleep,
    random: options.random ?? Math.random,
  };

  /** Asks until `read` has what it wants of an answer. */
  async function ask<Result>(
    route: Route,
    fields: Fields,
    accept: string,
    { traceparent, idempotencyKey, signal }: Omit<CallOptions, "timeoutMs">,
    read: (response: Response) => Promise<Result>,
  ): Promise<Result> {
    const { path, contentType, body } = requestOf(route, fields);
    const url = new URL(`${base.pathname.replace(/\/+$/, "")}${path}`, base.origin);
    const headers = {
      authorization: `Bearer ${key}`,
      accept,
      ...(contentType === undefined ? {} : { "content-type": contentType }),
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(route.makesOnce === true
        ? { "idempotency-key": idempotencyKey ?? crypto.randomUUID() }
        : {}),
    };
    const attempt = async (): Promise<Result> => {
      try {
        const response = await doFetch(url, {
          method: route.method,
          headers,
          ...(body === undefined ? {} : { body }),
          ...(signal === undefined ? {} : { signal }),
        });
        return await read(response);
      } catch (error) {
        throw asAppError(error, base, signal);
      }
    };
    const retry = isRepeatable(route) ? policy : { ...policy, maxRetries: 0 };
    try {
      return await withRetries(attempt, retry, signal);
    } catch (error) {
      throw asAppError(error, base, signal);
    }
  }

  /** The caller's options with its clock in the signal. */
  const bounded = ({ timeoutMs, signal: own, ...rest }: CallOptions) => {
    const signal = signalWithin(own, timeoutMs ?? options.timeoutMs);
    return { ...rest, ...(signal === undefined ? {} : { signal }) };
  };

  const call = (route: Route, fields: Fields, callOptions: CallOptions = {}): Promise<unknown> =>
    ask(route, fields, "application/json", bounded(callOptions), (response) =>
      answerOf(response, route.response, maxResponseBytes),
    );

  async function* stream(
    route: Route,
    request: Fields,
    callOptions: CallOptions = {},
  ): AsyncGenerator<StreamEvent<unknown>> {
    const within = bounded(callOptions);
    const events = await ask(
      route,
      { ...request, stream: true },
      `application/json, ${eventStreamType}`,
      within,
      async (response) => {
        const type = response.headers.get("content-type") ?? "";
        if (response.ok && response.body !== null && type.startsWith(eventStreamType)) {
          return eventsOf(response.body, route.response);
        }
        // A Worker that does not stream gives the whole answer, which is the end of a stream as well.
        return [
          {
            event: "result" as const,
            result: await answerOf(response, route.response, maxResponseBytes),
          },
        ];
      },
    );
    try {
      yield* events;
    } catch (error) {
      throw asAppError(error, base, within.signal);
    }
  }

  // The compiler reads the table for `Client`, these lines for the methods: both see the same rows.
  const methods: unknown = Object.fromEntries(
    routeList
      .filter(({ media }) => media === undefined)
      .map((route) => [
        route.id,
        route.input.kind === "none"
          ? (callOptions?: CallOptions) => call(route, {}, callOptions)
          : (request: Fields, callOptions?: CallOptions) => call(route, request, callOptions),
      ]),
  );
  const streams: unknown = Object.fromEntries(
    routeList
      .filter(({ streams: how }) => how === "events")
      .map((route) => [
        route.id,
        (request: Fields, callOptions?: CallOptions) => stream(route, request, callOptions),
      ]),
  );
  return { ...(methods as Omit<Client, "streams">), streams: streams as Client["streams"] };
}

/** Aborted by the caller or by the clock. */
function signalWithin(
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
): AbortSignal | undefined {
  if (timeoutMs === undefined) return signal;
  const clock = AbortSignal.timeout(timeoutMs);
  return signal === undefined ? clock : AbortSignal.any([signal, clock]);
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
