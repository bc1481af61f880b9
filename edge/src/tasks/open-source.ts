// A picture from whatever names it: a URL, a file, or the id of one that was seen before.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { AppError } from "@blip2-edge/shared/problem";
import type { Mark } from "../cache/marks.ts";
import { keepsNothing, type AuthenticatedContext } from "../context.ts";
import { partitionsOf, publicPartition, tenantPartition, type Partition } from "../partition.ts";
import {
  openFile,
  type OpenedPicture,
  type PictureRooms,
  type PictureSource,
} from "./open-picture.ts";
import { openUrl } from "./open-url.ts";

/** The picture for a model whose input has `size` pixels a side. Throws the problems of pictures and URLs. */
export function openPicture(
  rooms: PictureRooms,
  source: PictureSource,
  size: number,
  context: AuthenticatedContext,
): Promise<OpenedPicture> {
  const { event, caller } = context;
  event["image_source"] = source.kind === "bytes" ? source.from : source.kind;
  switch (source.kind) {
    case "bytes":
      return openFile(
        rooms,
        { bytes: source.bytes, partitions: [tenantPartition(caller.tenant)], size },
        context,
      );
    case "url":
      return openUrl(rooms, source.url, size, context);
    case "image_id":
      return openById(rooms, source.imageId, size, context);
  }
}

async function openById(
  rooms: PictureRooms,
  imageId: ImageId,
  size: number,
  context: AuthenticatedContext,
): Promise<OpenedPicture> {
  const { caller, memory, later } = context;
  memory.keep(0);
  const own = tenantPartition(caller.tenant);
  const quiet = keepsNothing(context);
  const remembered = quiet ? undefined : await rooms.marks.find(own, imageId);
  const mark = remembered ?? (await markOf(rooms, own, imageId));
  if (remembered === undefined && !quiet) later(rooms.marks.remember(own, imageId, mark));
  const partitions = partitionsOf(caller.tenant, mark.isPublic);
  return { imageId, exact: mark.exact, partitions, size, pixels: undefined };
}

async function markOf({ pixels }: PictureRooms, own: Partition, imageId: ImageId): Promise<Mark> {
  const marks = await pixels.knownIn([own, publicPartition], imageId);
  const [mark] = marks;
  if (mark === undefined) {
    throw new AppError("image_not_found", "No image with this id was sent with this key before.");
  }
  const isPublic = marks.some(({ partition }) => partition === publicPartition);
  return { exact: mark.exact, isPublic };
}
