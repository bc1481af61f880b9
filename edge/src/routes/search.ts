// POST /v1/search: HTTP in, the search task, HTTP out. The picture is one way of asking, so it may be left out.
import { invalidRequest, parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { routes } from "@blip2-edge/shared/routes";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { search } from "../tasks/search.ts";
import { readFields } from "./read-body.ts";
import { readPicture } from "./read-picture.ts";
import { bodyLimits, callerContext } from "./request.ts";

export function searchRoute(isolate: Isolate): Handler<Env> {
  const { settings } = isolate;
  return async (c: Context<Env>): Promise<Response> => {
    const context = callerContext(c);
    const fields = await readFields(c.req.raw, bodyLimits(settings), context);
    const hasPicture = fields.json["image"] !== undefined || fields.files.length > 0;
    const { picture, options } = hasPicture
      ? readPicture(fields, settings.MAX_IMAGE_BYTES)
      : { picture: undefined, options: fields.json };
    const asked = parseOrRefuse(routes.search.input.options, options);
    if (asked.text === undefined && picture === undefined) {
      throw invalidRequest([{ field: "text", message: "or `image` must be given, or both" }]);
    }
    const rooms = isolate.roomsFor(context);
    const found = await search(rooms, { options: asked, picture }, context);
    return c.json(found, 200, { "cache-control": "no-store" });
  };
}
