// POST /v1/caption and GET /v1/caption: HTTP in, the caption task, HTTP out.
import {
  captionOptionsSchema,
  captionQuerySchema,
  type CaptionOptions,
} from "@blip2-edge/shared/contracts/caption";
import { parseOrRefuse, queryFields } from "@blip2-edge/shared/contracts/refuse";
import type { Context } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { caption } from "../tasks/caption.ts";
import type { PictureSource } from "../tasks/open-picture.ts";
import { bodyLimits, callerContext } from "./request.ts";
import { readFields } from "./read-body.ts";
import { readPicture } from "./read-picture.ts";
import { respond } from "./respond.ts";

export function captionRoutes(isolate: Isolate) {
  const { settings } = isolate;
  async function answer(c: Context<Env>, picture: PictureSource, options: CaptionOptions) {
    const context = callerContext(c);
    const done = await caption(isolate.roomsFor(context), picture, options, context);
    return respond(c, done, settings.GET_MAX_AGE_S);
  }
  return {
    async post(c: Context<Env>): Promise<Response> {
      const { signal } = c.get("context");
      const fields = await readFields(c.req.raw, bodyLimits(settings), signal);
      const { picture, options } = readPicture(fields, settings.MAX_IMAGE_BYTES);
      return answer(c, picture, parseOrRefuse(captionOptionsSchema, options));
    },
    async get(c: Context<Env>): Promise<Response> {
      const query = queryFields(new URL(c.req.raw.url).searchParams);
      // Without a URL there is no image, which is its own problem.
      const { picture } = readPicture(
        { json: query["url"] === undefined ? {} : { image: { url: query["url"] } }, files: [] },
        settings.MAX_IMAGE_BYTES,
      );
      const { url: _, ...options } = parseOrRefuse(captionQuerySchema, query, "The query");
      return answer(c, picture, options);
    },
  };
}
