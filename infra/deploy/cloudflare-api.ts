// The transport of Cloudflare's REST API (client/v4): pages, and asking again. Which paths there are is cloudflare.ts.
import { setTimeout as sleepFor } from "node:timers/promises";
import { z } from "zod";
import {
  ApiError,
  passes,
  readEnvelope,
  shaped,
  unreachable,
  type Envelope,
} from "./cloudflare-answer.ts";

const defaultBase = "https://api.cloudflare.com/client/v4";
const attemptsMost = 5;
const firstWaitMs = 500;
const maxWaitMs = 60_000;
const callTimeoutMs = 60_000;
const pageSize = 100;

export interface ApiOptions {
  readonly account: string;
  readonly token: string;
  /** As wrangler has it: CLOUDFLARE_API_BASE_URL. */
  readonly base?: string | undefined;
  readonly fetch?: typeof globalThis.fetch;
  readonly sleep?: (ms: number) => Promise<unknown>;
  readonly signal?: AbortSignal;
}

interface Call {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface CloudflareApi {
  /** Below /accounts/ID, unless the path begins with user/. */
  get<T>(path: string, schema: z.ZodType<T>): Promise<T>;
  /** Undefined when the API says that it is not there. */
  find<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined>;
  /** Every page; `within` names the array where the result is an object. */
  list<T>(path: string, schema: z.ZodType<T>, within?: string): Promise<T[]>;
  /** Of something that may be sent twice, since it makes the same. */
  send<T>(method: "POST" | "PUT", path: string, schema: z.ZodType<T>, body: unknown): Promise<T>;
  /**
   * Makes something that has a name. When it is not known whether a call made it, or when the API says that the name is
   * taken, `find` decides.
   */
  make<T>(
    path: string,
    schema: z.ZodType<T>,
    body: unknown,
    find: () => Promise<T | undefined>,
  ): Promise<T>;
}

export function cloudflareApi(options: ApiOptions): CloudflareApi {
  const { account, token, base = defaultBase, fetch = globalThis.fetch } = options;
  const { sleep = sleepFor, signal = new AbortController().signal } = options;

  const urlOf = (path: string, query: Call["query"] = {}): URL => {
    const url = new URL(
      path.startsWith("user/") ? `${base}/${path}` : `${base}/accounts/${account}${path}`,
    );
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  };

  const once = async (method: string, path: string, call: Call): Promise<Envelope> => {
    const response = await fetch(urlOf(path, call.query), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(call.body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(callTimeoutMs)]),
    });
    return readEnvelope(response, { method, path });
  };

  const waitAfter = async (error: unknown, attempt: number): Promise<void> => {
    const asked = error instanceof ApiError ? error.retryAfterMs : undefined;
    await sleep(Math.min(asked ?? firstWaitMs * 2 ** attempt, maxWaitMs));
    signal.throwIfAborted();
  };

  const repeated = async (method: string, path: string, call: Call = {}): Promise<Envelope> => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await once(method, path, call);
      } catch (error) {
        if (!passes(error) || attempt + 1 >= attemptsMost) throw unreachable(error, base);
        await waitAfter(error, attempt);
      }
    }
  };

  return {
    async get(path, schema) {
      return shaped(schema, (await repeated("GET", path)).result, path);
    },
    async find(path, schema) {
      try {
        return shaped(schema, (await repeated("GET", path)).result, path);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return undefined;
        throw error;
      }
    },
    async list(path, schema, within) {
      const found = [];
      let query: Record<string, string> = { per_page: String(pageSize) };
      for (let page = 1; ; page++) {
        const { result, result_info: info } = await repeated("GET", path, { query });
        const rows = within === undefined ? result : (result as Record<string, unknown>)[within];
        const items = shaped(z.array(schema), rows ?? [], path);
        found.push(...items);
        const pages =
          info?.total_pages ?? Math.ceil((info?.total_count ?? 0) / (info?.per_page ?? pageSize));
        if (info?.cursor !== undefined && info.cursor !== "") {
          query = { per_page: String(pageSize), cursor: info.cursor };
        } else if (items.length > 0 && page < pages) {
          query = { per_page: String(pageSize), page: String(page + 1) };
        } else {
          return found;
        }
      }
    },
    async send(method, path, schema, body) {
      return shaped(schema, (await repeated(method, path, { body })).result, path);
    },
    async make(path, schema, body, find) {
      for (let attempt = 0; ; attempt++) {
        try {
          return shaped(schema, (await once("POST", path, { body })).result, path);
        } catch (error) {
          const taken = error instanceof ApiError && (error.status === 400 || error.status === 409);
          if (!taken && !passes(error)) throw error;
          const found = await find();
          if (found !== undefined) return found;
          if (taken || attempt + 1 >= attemptsMost) throw unreachable(error, base);
          await waitAfter(error, attempt);
        }
      }
    },
  };
}
