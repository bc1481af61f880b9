// Sends an answer with what caches need to know. Answers to POST are for nobody to keep; answers to GET
// are the caller's own. An ETag is over the exact bytes, so nothing in a body may depend on time.
import type { Context } from "hono";
import { cacheStatus, entityTag, matchesEntityTag, mayBeKept } from "../cache/answer-headers.ts";
import type { Env } from "../env.ts";
import type { Answered } from "../tasks/answered.ts";

export async function respond(
  c: Context<Env>,
  { body, outcome }: Answered<unknown>,
  maxAgeS: number,
): Promise<Response> {
  const text = `${JSON.stringify(body)}\n`;
  c.get("context").event["answer_bytes"] = new TextEncoder().encode(text).length;
  const tag = await entityTag(text);
  const isGet = c.req.method === "GET" || c.req.method === "HEAD";
  const headers: Record<string, string> = {
    etag: tag,
    "cache-status": cacheStatus(outcome),
    "cache-control": isGet && mayBeKept(outcome) ? `private, max-age=${maxAgeS}` : "no-store",
    vary: "authorization",
  };
  if (isGet && matchesEntityTag(c.req.header("if-none-match"), tag)) {
    return new Response(null, { status: 304, headers });
  }
  return new Response(text, { headers: { ...headers, "content-type": "application/json" } });
}
