// A real Vectorize index (V2) over Cloudflare's REST API, with the methods of the Worker's binding, and making and deleting
// one. For the lab: a Worker has the binding, which goes another way to the same service.
import type { VectorIndex } from "../../edge/src/search/vectorize.ts";

export interface RestAccount {
  readonly account: string;
  readonly token: string;
  readonly fetch?: typeof globalThis.fetch;
}

const api = "https://api.cloudflare.com/client/v4/accounts";

interface Envelope {
  readonly success?: boolean;
  readonly result?: unknown;
  readonly errors?: readonly { readonly code: number; readonly message: string }[];
}

/** Throws Error with what the API says. */
async function call(
  { account, token, fetch = globalThis.fetch }: RestAccount,
  path: string,
  init: RequestInit,
): Promise<unknown> {
  const answer = await fetch(`${api}/${account}/vectorize/v2/indexes${path}`, {
    ...init,
    headers: { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string>) },
  });
  const text = await answer.text();
  let envelope: Envelope = {};
  try {
    envelope = JSON.parse(text) as Envelope;
  } catch {
    // What is no JSON is told as it stands.
  }
  if (answer.ok && envelope.success === true) return envelope.result;
  const faults = envelope.errors?.map(({ code, message }) => `${message} (code = ${code})`);
  throw new Error(
    `${init.method} ${path}: ${answer.status} ${faults?.join("; ") ?? text.slice(0, 500)}`,
  );
}

const post = (body: unknown): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

export const createIndex = (to: RestAccount, name: string, dimensions: number) =>
  call(to, "", post({ name, config: { dimensions, metric: "cosine" } }));
export const deleteIndex = (from: RestAccount, name: string) =>
  call(from, `/${name}`, { method: "DELETE" });

export function vectorizeOverRest(at: RestAccount, name: string): VectorIndex {
  const ask = async <Result>(operation: string, init: RequestInit): Promise<Result> =>
    (await call(at, `/${name}/${operation}`, init)) as Result;
  return {
    query: (vector, options) => ask("query", post({ ...options, vector })),
    upsert: (vectors) =>
      ask("upsert", {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body: vectors.map((vector) => JSON.stringify(vector)).join("\n"),
      }),
    deleteByIds: (ids) => ask("delete_by_ids", post({ ids })),
    getByIds: (ids) => ask("get_by_ids", post({ ids })),
    describe: () => ask("info", { method: "GET" }),
  };
}
