// GET /: the playground. Everything of it stands in one page (infra/build-page.mjs), and its policy names the
// one script and the one style by their digests, so nothing else runs and nothing is loaded from elsewhere.
import type { Context } from "hono";
import { entityTag, matchesEntityTag } from "../cache/answer-headers.ts";
import type { Env } from "../env.ts";
import { page } from "../page/built.js";

const policy = [
  ...["default-src 'none'", `script-src '${page.script}'`, `style-src '${page.style}'`],
  // The chosen picture, the icon, and thumbnails of this Worker's own.
  ...["img-src 'self' blob: data:", "connect-src 'self'"],
  ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
  ...["require-trusted-types-for 'script'", "trusted-types 'none'"],
].join("; ");

const headers = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": policy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  // A new version is seen at once.
  "cache-control": "no-cache",
};

export async function playgroundRoute(c: Context<Env>): Promise<Response> {
  const etag = await entityTag(page.html);
  if (matchesEntityTag(c.req.header("if-none-match"), etag)) {
    return new Response(null, { status: 304, headers: { ...headers, etag } });
  }
  return new Response(page.html, { headers: { ...headers, etag } });
}
