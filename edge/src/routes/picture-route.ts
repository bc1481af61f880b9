// A route about one picture: HTTP in, a task, HTTP out. The body is JSON or multipart; what of it is not
// the picture is parsed with the options schema of the route table.
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import type { Context, Handler } from "hono";
import type { z } from "zod";
import type { AuthenticatedContext } from "../context.ts";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import type { Answered } from "../tasks/answered.ts";
import type { Listener } from "../tasks/listener.ts";
import type { PictureSource } from "../tasks/open-picture.ts";
import type { Rooms } from "../tasks/rooms.ts";
import { readFields } from "./read-body.ts";
import { readPicture } from "./read-picture.ts";
import { bodyLimits, callerContext } from "./request.ts";
import { respond } from "./respond.ts";
import { eventsOfAnswer, respondStreaming } from "./respond-streaming.ts";

export type PictureTask<Options> = (
  rooms: Rooms,
  picture: PictureSource,
  options: Options,
  context: AuthenticatedContext,
  /** Only for options with `stream: true`. */
  listener?: Listener,
) => Promise<Answered<unknown>>;

export function pictureRoute<Schema extends z.ZodType>(
  isolate: Isolate,
  optionsSchema: Schema,
  task: PictureTask<z.output<Schema>>,
): Handler<Env> {
  const { settings } = isolate;
  return async (c: Context<Env>): Promise<Response> => {
    const context = callerContext(c);
    const fields = await readFields(c.req.raw, bodyLimits(settings), context);
    const { picture, options } = readPicture(fields, settings.MAX_IMAGE_BYTES);
    const asked = parseOrRefuse(optionsSchema, options);
    const rooms = isolate.roomsFor(context);
    if (wantsStream(asked)) {
      return respondStreaming(c, eventsOfAnswer, (listener) =>
        task(rooms, picture, asked, context, listener),
      );
    }
    const done = await task(rooms, picture, asked, context);
    return respond(c, done, settings.GET_MAX_AGE_S);
  };
}

const wantsStream = (options: unknown): boolean =>
  typeof options === "object" && options !== null && "stream" in options && options.stream === true;
