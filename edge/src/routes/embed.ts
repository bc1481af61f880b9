// POST /v1/embed: HTTP in, the embed task of a picture or of a text, HTTP out.
import { embedOptionsSchema, embedTextRequestSchema } from "@blip2-edge/shared/contracts/embed";
import { invalidRequest, parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { embedPicture, embedText } from "../tasks/embed.ts";
import { readFields } from "./read-body.ts";
import { readPicture } from "./read-picture.ts";
import { bodyLimits, callerContext } from "./request.ts";
import { respond } from "./respond.ts";

export function embedRoute(isolate: Isolate): Handler<Env> {
  const { settings } = isolate;
  return async (c: Context<Env>): Promise<Response> => {
    const context = callerContext(c);
    const fields = await readFields(c.req.raw, bodyLimits(settings), context);
    const { json, files } = fields;
    const ofText = json["text"] !== undefined;
    if (ofText === (json["image"] !== undefined || files.length > 0)) {
      throw invalidRequest([
        { field: "text", message: "or `image` must be given, and only one of them" },
      ]);
    }
    const rooms = isolate.roomsFor(context);
    if (ofText) {
      const asked = parseOrRefuse(embedTextRequestSchema, json);
      return respond(c, await embedText(rooms, asked, context), settings.GET_MAX_AGE_S);
    }
    const { picture, options } = readPicture(fields, settings.MAX_IMAGE_BYTES);
    const asked = parseOrRefuse(embedOptionsSchema, options);
    return respond(c, await embedPicture(rooms, picture, asked, context), settings.GET_MAX_AGE_S);
  };
}
