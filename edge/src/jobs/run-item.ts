// One item of a job through the same flow as a single request: cache, quotas, nodes.
import {
  askedOf,
  jobParameters,
  type JobDefaults,
  type JobTask,
} from "@blip2-edge/shared/contracts/jobs";
import { imageInputSchema, type ImageInput } from "@blip2-edge/shared/contracts/image";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { Caller } from "../auth/caller.ts";
import type { AuthenticatedContext } from "../context.ts";
import { decodeBase64 } from "../images/base64.ts";
import { answer } from "../tasks/answer.ts";
import { caption } from "../tasks/caption.ts";
import { classify } from "../tasks/classify.ts";
import { embedPicture } from "../tasks/embed.ts";
import { indexImage } from "../tasks/index-image.ts";
import { match } from "../tasks/match.ts";
import type { PictureSource } from "../tasks/open-picture.ts";
import type { Rooms } from "../tasks/rooms.ts";

type Perform = (
  rooms: Rooms,
  picture: PictureSource,
  parameters: unknown,
  context: AuthenticatedContext,
) => Promise<object>;

/** Parameters are read again: what was stored yesterday may be refused by today's Worker, by name. */
const answerOf =
  <Asked>(
    schema: z.ZodType<Asked>,
    ask: (
      rooms: Rooms,
      picture: PictureSource,
      asked: Asked,
      context: AuthenticatedContext,
    ) => Promise<{ readonly body: object }>,
  ): Perform =>
  async (rooms, picture, parameters, context) =>
    (await ask(rooms, picture, parseOrRefuse(schema, parameters), context)).body;

const perform: Readonly<Record<JobTask, Perform>> = {
  caption: answerOf(jobParameters.caption, caption),
  vqa: answerOf(jobParameters.vqa, answer),
  match: answerOf(jobParameters.match, match),
  classify: answerOf(jobParameters.classify, classify),
  embed: answerOf(jobParameters.embed, embedPicture),
  index(rooms, picture, parameters, context) {
    refuseIndexing(context.caller);
    const { namespace, id, ...options } = parseOrRefuse(jobParameters.index, parameters);
    return indexImage(rooms, { namespace, id, picture, options }, context);
  },
};

/** It changes what is stored, which is more than a job by itself may. Throws forbidden. */
export function refuseIndexing({ scopes }: Pick<Caller, "scopes">): void {
  if (scopes.includes("index")) return;
  throw new AppError("forbidden", "The key of a job that indexes needs the scope `index` too.");
}

const storedSchema = z.object({
  image: imageInputSchema,
  task: z
    .custom<JobTask>((value) => typeof value === "string" && Object.hasOwn(perform, value))
    .optional(),
  parameters: z.record(z.string(), z.unknown()).optional(),
});

function pictureOf(image: ImageInput, maxBytes: number): PictureSource {
  if ("url" in image) return { kind: "url", url: image.url };
  if ("image_id" in image) return { kind: "image_id", imageId: image.image_id };
  const bytes = decodeBase64(image.base64, maxBytes);
  if (bytes.length === 0) throw new AppError("image_required", "The picture is empty.");
  return { kind: "bytes", bytes, from: "base64" };
}

/** Resolves to what the task's route would answer. Throws what its route would. */
export async function runItem(
  rooms: Rooms,
  stored: unknown,
  defaults: JobDefaults,
  maxImageBytes: number,
  context: AuthenticatedContext,
): Promise<object> {
  const item = parseOrRefuse(storedSchema, stored);
  const { task, parameters } = askedOf(item, defaults);
  if (task === undefined) throw new Error("an item without a task");
  context.event["task"] = task;
  const picture = pictureOf(item.image, maxImageBytes);
  return perform[task](rooms, picture, parameters, context);
}
