// GET /v1/caption: HTTP in, the caption task, HTTP out.
import { captionQuerySchema } from "@blip2-edge/shared/contracts/caption";
import { parseOrRefuse, queryFields } from "@blip2-edge/shared/contracts/refuse";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { caption } from "../tasks/caption.ts";
import { readPicture } from "./read-picture.ts";
import { callerContext } from "./request.ts";
import { respond } from "./respond.ts";

export function captionByUrlRoute(isolate: Isolate): Handler<Env> {
  const { settings } = isolate;
  return async (c: Context<Env>): Promise<Response> => {
    const context = callerContext(c);
    const query = queryFields(new URL(c.req.raw.url).searchParams);
    // Without a URL there is no image, which is its own problem.
    const { picture } = readPicture(
      { json: query["url"] === undefined ? {} : { image: { url: query["url"] } }, files: [] },
      settings.MAX_IMAGE_BYTES,
    );
    const {
      url: _,
      signed: __,
      ...options
    } = parseOrRefuse(captionQuerySchema, query, "The query");
    const done = await caption(isolate.roomsFor(context), picture, options, context);
    return respond(c, done, settings.GET_MAX_AGE_S, c.get("signed")?.until);
  };
}
