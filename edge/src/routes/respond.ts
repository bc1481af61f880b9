// Sends an answer with what caches need to know. Answers to POST are for nobody to keep; answers to GET
// are the caller's own, unless whoever has their link may see them. An ETag is over the exact bytes, so nothing in a body may depend on time.
import type { Context } from "hono";
import { cacheStatus, entityTag, matchesEntityTag, mayBeKept } from "../cache/answer-headers.ts";
import type { Env } from "../env.ts";
import type { Answered } from "../tasks/answered.ts";

export async function respond(
  c: Context<Env>,
  { body, outcome }: Answered<unknown>,
  maxAgeS: number,
  /** Of a signed link: until when it holds, Unix seconds. */
  sharedUntil?: number,
): Promise<Response> {
  const text = `${JSON.stringify(body)}\n`;
  c.get("context").event["answer_bytes"] = new TextEncoder().encode(text).length;
  const tag = await entityTag(text);
  const isGet = c.req.method === "GET" || c.req.method === "HEAD";
  const headers: Record<string, string> = {
    etag: tag,
    "cache-status": cacheStatus(outcome),
    "cache-control": isGet && mayBeKept(outcome) ? keeping(maxAgeS, sharedUntil) : "no-store",
    ...(sharedUntil === undefined
      ? { vary: "authorization" }
      : { "access-control-allow-origin": "*" }),
  };
  if (isGet && matchesEntityTag(c.req.header("if-none-match"), tag)) {
    return new Response(null, { status: 304, headers });
  }
  return new Response(text, { headers: { ...headers, "content-type": "application/json" } });
}

function keeping(maxAgeS: number, sharedUntil: number | undefined): string {
  if (sharedUntil === undefined) return `private, max-age=${maxAgeS}`;
  const leftS = Math.max(0, sharedUntil - Math.ceil(Date.now() / 1000));
  return `public, max-age=${Math.min(maxAgeS, leftS)}`;
}
