// A task's call of a node. About a picture it says whose it is, keeps the pixels meanwhile, so that the
// picture can be asked about by its id, and has stored ones at hand for a node that lacks them.
import { AppError } from "@blip2-edge/shared/problem";
import type { CatalogModel, imageReferenceSchema } from "@blip2-edge/shared/wire/protocol";
import type { z } from "zod";
import { keepsNothing, type AuthenticatedContext } from "../context.ts";
import type { LogEvent } from "../log.ts";
import type { Reply, Timed } from "../nodes/ask.ts";
import type { NodeAsked, NodeCall, NodeTold } from "../nodes/calls.ts";
import type { OnText } from "../nodes/exchange.ts";
import type { OpenedPicture } from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";

/** The part of a request that names the model. */
export interface AboutModel {
  readonly model: string;
  readonly model_revision: string;
  readonly deadline_ms: number;
  readonly priority?: "bulk";
}

export interface AboutPicture extends AboutModel {
  readonly partition: string;
  readonly image: z.infer<typeof imageReferenceSchema>;
}

export async function askNode<Asked extends NodeAsked, Told extends NodeTold>(
  rooms: Rooms,
  call: NodeCall<Asked, Told>,
  { model, model_revision }: CatalogModel,
  request: (about: AboutModel) => Asked,
  context: AuthenticatedContext,
): Promise<Told> {
  const { event, signal, remainingMs } = context;
  const timed = timedBy(context);
  const requestIn = (deadline_ms: number) =>
    request({ model, model_revision, deadline_ms, ...priorityOf(context) });
  const reply = await rooms.meter.spend(context, unitsOf(requestIn(remainingMs())), () =>
    rooms.askNode(call, { request: requestIn, remainingMs, timed }, signal),
  );
  return told(event, reply);
}

const priorityOf = ({ priority }: AuthenticatedContext) =>
  priority === undefined ? {} : { priority };

const timedBy =
  ({ hops }: AuthenticatedContext): Timed =>
  (work) =>
    hops.time("node", work);

/** What a call spends: an inference for each text, or one for a picture by itself. */
const unitsOf = ({ texts }: NodeAsked): number => texts?.length ?? 1;

export async function askNodeAbout<Asked extends NodeAsked, Told extends NodeTold>(
  rooms: Rooms,
  call: NodeCall<Asked, Told>,
  { model, model_revision }: CatalogModel,
  { imageId, partitions, pixels, size, keeping }: OpenedPicture,
  request: (about: AboutPicture) => Asked,
  context: AuthenticatedContext,
  onText?: OnText,
): Promise<Told> {
  const { event, signal, remainingMs } = context;
  const kept = keeping?.now();
  // A public picture's features are shared on the node, a private one's are the tenant's.
  const partition = await rooms.partitionTag(partitions.at(-1) ?? partitions[0]);
  const image = { image_id: imageId, size };
  const requestIn = (deadline_ms: number) =>
    request({ model, model_revision, partition, image, deadline_ms, ...priorityOf(context) });
  let heard = false;
  const hear: OnText | undefined =
    onText === undefined
      ? undefined
      : (index, text) => {
          heard = true;
          onText(index, text);
        };
  const reply = await rooms.meter.spend(
    context,
    unitsOf(requestIn(remainingMs())),
    () =>
      rooms.askNode(
        call,
        {
          request: requestIn,
          remainingMs,
          timed: timedBy(context),
          pixels,
          loadPixels: () => rooms.pixels.get(partitions, imageId, size),
          keepsNothing: keepsNothing(context),
          onText: hear,
        },
        signal,
      ),
    // Who leaves after the first text has been served; otherwise reading all but the end would be free.
    (error) => heard && error instanceof AppError && error.code === "canceled",
  );
  await kept;
  return told(event, reply);
}

/** Adds what the call cost to the log line, which may hold several calls. */
function told<Told extends NodeTold>(
  event: LogEvent,
  { answer, attempts, sentPixels, node, second }: Reply<Told>,
): Told {
  const add = (name: string, count: number): void => {
    event[name] = Number(event[name] ?? 0) + count;
  };
  event["node"] = node;
  add("node_attempts", attempts);
  if (second === "retry") add("node_retries", 1);
  if (second === "hedge") add("node_hedges", 1);
  add("node_vision_passes", answer.vision_passes);
  event["node_sent_pixels"] = event["node_sent_pixels"] === true || sentPixels;
  return answer;
}
