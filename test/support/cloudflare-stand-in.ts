// Cloudflare's REST API (client/v4) in memory, as far as a deployment uses it: its envelope, its pages, its refusals. Written
// from Cloudflare's published OpenAPI descriptions, from which its SDKs are generated, and from what wrangler's sources
// ask and expect. It knows nothing of what the real service does behind them.
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { Page, Refusal, type ApiRoute, type Area, type Asked } from "./cloudflare-stand-in-api.ts";
import { storageRoutes, storageState } from "./cloudflare-stand-in-storage.ts";
import { workerRoutes, workersState } from "./cloudflare-stand-in-workers.ts";

export interface StandInOptions {
  /** Areas in which the token may do nothing. */
  readonly without?: readonly Area[];
  /** How many of a kind the account may have. */
  readonly limits?: Partial<Record<"d1" | "kv" | "queues", number>>;
  /** Of lists, whatever is asked for; default: as asked. */
  readonly pageSize?: number;
  readonly subdomain?: string;
  readonly plan?: string;
}

export const standInAccount = "0123456789abcdef0123456789abcdef";
export const standInToken = "a-token-of-the-stand-in";

export function cloudflareStandIn(options: StandInOptions = {}) {
  const storage = storageState(options.limits ?? {});
  const workers = workersState(options.subdomain);
  const without = new Set(options.without ?? []);
  const accountRoutes: readonly ApiRoute[] = [
    {
      ...{ area: "account", method: "GET", path: /^$/ },
      answer: () => ({ id: standInAccount, name: "Acme", type: "standard" }),
    },
    {
      ...{ area: "billing", method: "GET", path: /^\/subscriptions$/ },
      answer: () => [{ rate_plan: { id: options.plan ?? "workers_paid" } }],
    },
  ];
  const routes = [...accountRoutes, ...storageRoutes(storage), ...workerRoutes(workers, storage)];

  const answer = async (asked: Asked, token: string | null, whose: string | undefined) => {
    if (asked.path === "user/tokens/verify" || asked.path === "/tokens/verify") {
      if (token !== `Bearer ${standInToken}`) throw new Refusal(401, 1000, "Invalid API Token");
      return { id: "ed17574386854bf78a67040be0a770b0", status: "active" };
    }
    if (token !== `Bearer ${standInToken}`) throw new Refusal(401, 10_000, "Authentication error");
    if (whose !== standInAccount) {
      throw new Refusal(404, 7003, "Could not route to this account, perhaps its id is invalid?");
    }
    for (const route of routes) {
      const parts = route.method === asked.method ? route.path.exec(asked.path) : null;
      if (parts === null) continue;
      if (without.has(route.area)) throw new Refusal(403, 10_000, "Authentication error");
      return route.answer(asked, ...parts.slice(1).map((part) => decodeURIComponent(part)));
    }
    throw new Refusal(404, 7000, `No route for that URI: ${asked.method} ${asked.path}`);
  };

  const paged = ({ items, within }: Page, query: URLSearchParams): Response => {
    const size = options.pageSize ?? Number(query.get("per_page") ?? 20);
    const page = Number(query.get("page") ?? query.get("cursor") ?? 1);
    const found = items.slice((page - 1) * size, page * size);
    const more = page * size < items.length;
    const result_info =
      within === undefined
        ? { page, per_page: size, count: found.length, total_count: items.length }
        : { per_page: size, cursor: more ? String(page + 1) : "" };
    const result = within === undefined ? found : { [within]: found };
    return Response.json({ success: true, errors: [], messages: [], result, result_info });
  };

  const standIn = {
    storage,
    workers,
    without,
    /** Called before a request is carried out: what it returns is the answer, what it throws breaks the connection. */
    before: undefined as ((asked: Asked) => Response | undefined) | undefined,
    /** Called when it was carried out or refused, before it is answered. */
    after: undefined as ((asked: Asked) => void) | undefined,
    /** What was asked so far. */
    asked: [] as string[],
    async fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
      const request = new Request(input, init);
      const url = new URL(request.url);
      const below = url.pathname.replace(/^\/client\/v4\//, "");
      const [, whose, path] = /^accounts\/([^/]+)(.*)$/.exec(below) ?? [];
      const asked: Asked = {
        method: request.method,
        path: path ?? below,
        query: url.searchParams,
        json: async () => (await request.json()) as never,
        form: () => request.formData(),
      };
      standIn.asked.push(`${asked.method} ${asked.path}`);
      const instead = standIn.before?.(asked);
      if (instead !== undefined) return instead;
      try {
        const result: unknown = await answer(asked, request.headers.get("authorization"), whose);
        standIn.after?.(asked);
        if (result instanceof Page) return paged(result, url.searchParams);
        return Response.json({ success: true, errors: [], messages: [], result });
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        standIn.after?.(asked);
        const errors = [{ code: error.code, message: error.message }];
        return Response.json(
          { success: false, errors, messages: [], result: null },
          { status: error.status },
        );
      }
    },
    /** On loopback, for wrangler. */
    async serve() {
      const server = createServer((request, response) => {
        const method = request.method ?? "GET";
        const hasBody = method !== "GET" && method !== "HEAD";
        const headers = new Headers(request.headers as Record<string, string>);
        const body = hasBody ? { body: Readable.toWeb(request), duplex: "half" } : {};
        const answering = async () => {
          const asked = { method, headers, ...body } as RequestInit;
          const answered = await standIn.fetch(`http://stand-in${request.url}`, asked);
          response.writeHead(answered.status, { "content-type": "application/json" });
          response.end(await answered.text());
        };
        answering().catch((error: unknown) => response.destroy(error as Error));
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      return {
        base: `http://127.0.0.1:${port}/client/v4`,
        async stop() {
          server.closeAllConnections();
          server.close();
          await once(server, "close");
        },
      };
    },
  };
  return standIn;
}
export type CloudflareStandIn = ReturnType<typeof cloudflareStandIn>;
