// POST /v1/caption/links: HTTP in, a signed URL of GET /v1/caption, HTTP out. Nothing is fetched and nothing inferred;
// where the key may not fetch from is refused now.
import { defaultLinkS, type CaptionLink } from "@blip2-edge/shared/contracts/caption";
import { parseOrRefuse, queryFields } from "@blip2-edge/shared/contracts/refuse";
import { routes } from "@blip2-edge/shared/routes";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { readJson } from "./read-body.ts";
import { bodyLimits } from "./request.ts";

export function captionLinkRoute(isolate: Isolate): Handler<Env> {
  const { captionLinks, roomsFor, settings } = isolate;
  return async (c: Context<Env>): Promise<Response> => {
    const context = c.get("context");
    const json = await readJson(c.req.raw, bodyLimits(settings), context);
    const asked = parseOrRefuse(routes.captionLink.input.schema, json);
    const { expires_in_s: lifeS = defaultLinkS, ...options } = asked;
    const { fetchAllow, keyId } = c.get("caller");
    roomsFor(context).admit(options.url, fetchAllow);
    const written = Object.entries(options).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)]],
    );
    // As it will come back, and be read.
    const fields = queryFields(new URLSearchParams(written));
    parseOrRefuse(routes.captionByUrl.input.schema, fields);
    const until = Math.floor(Date.now() / 1000) + lifeS;
    const signed = await captionLinks.write({ keyId, until }, fields);
    const query = new URLSearchParams({ ...fields, signed });
    const link: CaptionLink = {
      url: `${context.origin}${routes.captionByUrl.path}?${query.toString()}`,
      expires_at: new Date(until * 1000).toISOString(),
    };
    return c.json(link, 200, { "cache-control": "no-store" });
  };
}
