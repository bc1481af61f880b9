// What an index keeps of a picture for people to look at: its thumbnail, made when the picture was read for the first
// time and made here where it was not, and the file where the namespace asks for it. Nothing of a request that is to
// be kept nowhere.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { canonicalSize } from "@blip2-edge/shared/image/canonical";
import { keepsNothing, type AuthenticatedContext } from "../context.ts";
import { describeError } from "../log.ts";
import { tenantPartition } from "../partition.ts";
import type { KeptSince } from "../search/image-index.ts";
import { keepThumbnail, type PictureRooms, type PictureSource } from "./open-picture.ts";

/** The picture as a file where it has an address. Throws what fetching throws. */
export async function fileBehind(
  rooms: PictureRooms,
  picture: PictureSource,
  context: AuthenticatedContext,
): Promise<PictureSource> {
  if (picture.kind !== "url") return picture;
  const { caller, event, hops, memory, signal } = context;
  memory.keep(0);
  const on = { allow: caller.fetchAllow, memory, signal };
  const fetched = await hops.time("fetch", () => rooms.fetchPicture(picture.url, on));
  if (fetched.kind !== "file") throw new Error("a 304 that nobody asked for");
  event["image_host"] = fetched.host;
  return { kind: "bytes", bytes: fetched.bytes, from: "url" };
}

export interface FilesToKeep {
  readonly picture: PictureSource;
  /** As it was read a moment ago. */
  readonly imageId: ImageId;
  readonly namespace: string;
  readonly keepsFile: boolean;
}

/** Throws when the file that the namespace asks for cannot be kept. */
export async function keepFiles(
  rooms: PictureRooms,
  { picture, imageId, namespace, keepsFile }: FilesToKeep,
  context: AuthenticatedContext,
): Promise<KeptSince> {
  if (keepsNothing(context)) return { thumbnailAt: null, originalAt: null };
  const own = tenantPartition(context.caller.tenant);
  const hasFile = keepsFile && picture.kind === "bytes";
  if (hasFile) await rooms.kept.putOriginal(own, namespace, imageId, picture.bytes);
  return {
    originalAt: hasFile ? context.startedAt : null,
    thumbnailAt: (await thumbnailSince(rooms, picture, imageId, context)) ?? null,
  };
}

/** A picture that is put by its image_id alone, and had no thumbnail, has none. */
async function thumbnailSince(
  rooms: PictureRooms,
  picture: PictureSource,
  imageId: ImageId,
  context: AuthenticatedContext,
): Promise<number | undefined> {
  const { caller, event, memory, signal } = context;
  const own = tenantPartition(caller.tenant);
  try {
    const since = await rooms.kept.thumbnailAt(own, imageId);
    if (since !== undefined || picture.kind === "image_id") return since;
    const file = await fileBehind(rooms, picture, context);
    if (file.kind !== "bytes") return undefined;
    const wants = { thumbnail: true };
    const read = await rooms.canonicalise(file.bytes, canonicalSize, memory, signal, wants);
    // The address leads elsewhere by now.
    if (read.imageId !== imageId || read.thumbnail === undefined) return undefined;
    await keepThumbnail(rooms, imageId, read.thumbnail, context);
    return await rooms.kept.thumbnailAt(own, imageId);
  } catch (error) {
    signal.throwIfAborted();
    event["thumbnail_fault"] = describeError(error);
    return undefined;
  }
}
