// POST /v1/namespaces/{namespace}/images/batch: HTTP in, the task for each image, HTTP out. An image whose picture is
// a file takes the next part `image` of the body.
import {
  maxBatchImages,
  type ImageBatchOptions,
  type ImageBatchResponse,
} from "@blip2-edge/shared/contracts/image-batch";
import { invalidRequest, parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { routes } from "@blip2-edge/shared/routes";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { indexBatch, type BatchEntry } from "../tasks/index-batch.ts";
import { fieldsWithPath } from "./keys.ts";
import { readFields, type RequestFields } from "./read-body.ts";
import { pictureOfBytes, pictureOfObject } from "./read-picture.ts";
import { bodyLimits, callerContext } from "./request.ts";

export function imageBatchRoute({
  settings,
  roomsFor,
}: Pick<Isolate, "settings" | "roomsFor">): Handler<Env> {
  // The files and the part `request`.
  const limits = { ...bodyLimits(settings), maxParts: maxBatchImages + 1 };
  return async (c: Context<Env>): Promise<Response> => {
    const context = callerContext(c);
    const { json, files } = await readFields(c.req.raw, limits, context);
    const { namespace, images } = parseOrRefuse(
      routes.imageBatch.input.options,
      fieldsWithPath(c, json),
    );
    const entries = entriesOf(images, files, settings.MAX_IMAGE_BYTES);
    const results = await indexBatch(roomsFor(context), { namespace, entries }, context);
    const succeeded = results.filter(({ record }) => record !== undefined).length;
    const answer: ImageBatchResponse = { results, succeeded, failed: results.length - succeeded };
    return c.json(answer, 200, { "cache-control": "no-store" });
  };
}

function entriesOf(
  images: ImageBatchOptions["images"],
  files: RequestFields["files"],
  maxBytes: number,
): BatchEntry[] {
  const without = images.flatMap(({ image }, index) => (image === undefined ? [index] : []));
  if (without.length !== files.length) {
    throw invalidRequest(
      files.length === 0
        ? without.map((index) => ({ field: `images[${index}].image`, message: "is missing" }))
        : [
            {
              field: "image",
              message: `is there ${files.length} times, and ${without.length} of the images name no picture of their own`,
            },
          ],
    );
  }
  return images.map(({ id, image, ...options }, index) => {
    const file = files[without.indexOf(index)];
    const picture = (): ReturnType<BatchEntry["picture"]> =>
      image === undefined
        ? pictureOfBytes(file ?? new Uint8Array(0), "upload", maxBytes)
        : pictureOfObject(image, maxBytes);
    return { id, options, picture };
  });
}
