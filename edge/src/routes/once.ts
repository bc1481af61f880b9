// Routes that make something, made safe to repeat: what their handler answers is remembered under the request's
// Idempotency-Key, and a repeated request gets it again, with a header that says so.
import type { Context } from "hono";
import { canonicalJson } from "../cache/canonical-json.ts";
import type { Env } from "../env.ts";
import type { Remember } from "../idempotency/remember.ts";

/** The headers of an answer that belong to it and not to the exchange. */
const keptHeaders = ["content-type", "cache-control", "location"];

/**
 * Answers by `make`, or as it answered before. `json` is the request's body as it was sent; `make` is given the
 * seed of what it makes.
 */
export async function once(
  c: Context<Env>,
  remember: Remember,
  json: unknown,
  make: (seed: string) => Promise<Response>,
): Promise<Response> {
  const { tenant } = c.get("caller");
  const header = c.req.header("idempotency-key");
  // Without a key nothing is compared, so nothing is written out for it.
  const asked = header === undefined ? "" : `${c.req.method} ${c.req.path} ${canonicalJson(json)}`;
  const { answer, isReplay } = await remember({ tenant, header, asked }, async (seed) => {
    const { status, headers, body } = await readAnswer(await make(seed));
    return { status, headers, body };
  });
  if (header !== undefined) c.get("context").event["idempotent"] = isReplay ? "replay" : "first";
  return new Response(answer.body, {
    status: answer.status,
    headers: { ...answer.headers, ...(isReplay ? { "idempotent-replayed": "true" } : {}) },
  });
}

async function readAnswer(response: Response) {
  const headers: Record<string, string> = {};
  for (const name of keptHeaders) {
    const value = response.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  return { status: response.status, headers, body: await response.text() };
}
