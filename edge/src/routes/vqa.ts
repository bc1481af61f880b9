// POST /v1/vqa: HTTP in, the answer task, HTTP out.
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { vqaOptionsSchema } from "@blip2-edge/shared/contracts/vqa";
import type { Context } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { answer } from "../tasks/answer.ts";
import { readFields } from "./read-body.ts";
import { readPicture } from "./read-picture.ts";
import { bodyLimits, callerContext } from "./request.ts";
import { respond } from "./respond.ts";

export function vqaRoute(isolate: Isolate) {
  const { settings } = isolate;
  return async (c: Context<Env>): Promise<Response> => {
    const context = callerContext(c);
    const fields = await readFields(c.req.raw, bodyLimits(settings), context.signal);
    const { picture, options } = readPicture(fields, settings.MAX_IMAGE_BYTES);
    const asked = parseOrRefuse(vqaOptionsSchema, options);
    const done = await answer(isolate.roomsFor(context), picture, asked, context);
    return respond(c, done, settings.GET_MAX_AGE_S);
  };
}
