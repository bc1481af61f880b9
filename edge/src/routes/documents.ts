// GET /openapi.json and GET /docs: the API described, made once per isolate from the route table. Anyone may
// read them; they say nothing about this deployment.
import { openApiDocument } from "@blip2-edge/shared/openapi";
import type { Context, Handler } from "hono";
import { entityTag, matchesEntityTag } from "../cache/answer-headers.ts";
import type { Env } from "../env.ts";
import { sourceHash } from "../html.ts";
import { renderReference } from "../reference/render-reference.ts";
import { referenceStyle } from "../reference/style.ts";

interface Document {
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

const maxAgeS = 300;

export function documentRoutes(): Record<"openapi" | "reference", Handler<Env>> {
  return { openapi: serve(openApiJson), reference: serve(referencePage) };
}

function openApiJson(): Promise<Document> {
  const text = `${JSON.stringify(openApiDocument())}\n`;
  return documentOf(text, {
    "content-type": "application/json",
    // A description that any page may read, to draw it its own way.
    "access-control-allow-origin": "*",
  });
}

async function referencePage(): Promise<Document> {
  return documentOf(renderReference(openApiDocument()), {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": [
      "default-src 'none'",
      `style-src '${await sourceHash(referenceStyle)}'`,
      ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
    ].join("; "),
    "referrer-policy": "no-referrer",
  });
}

async function documentOf(text: string, headers: Record<string, string>): Promise<Document> {
  const etag = await entityTag(text);
  return { text, headers: { ...headers, etag, "cache-control": `public, max-age=${maxAgeS}` } };
}

/** What is made is plain data, so that one request may use what another made. */
function serve(make: () => Promise<Document>): Handler<Env> {
  let made: Document | undefined;
  return async (c: Context<Env>) => {
    made ??= await make();
    const { text, headers } = made;
    const isKnown = matchesEntityTag(c.req.header("if-none-match"), headers["etag"] ?? "");
    return new Response(isKnown ? null : text, { status: isKnown ? 304 : 200, headers });
  };
}
