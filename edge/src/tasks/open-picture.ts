// From what the caller sent to a picture: where it belongs, what it is, its pixels if they are at hand.
// Fetching and reading happen once; canonical pixels are made for the model that asks.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { AppError } from "@blip2-edge/shared/problem";
import type { AuthenticatedContext } from "../context.ts";
import type { Canonicalise } from "../images/canonicalise.ts";
import type { PictureFetcher } from "../images/fetch.ts";
import type { PixelStore } from "../images/pixel-store.ts";
import { partitionsOf, publicPartition, tenantPartition, type Partitions } from "../partition.ts";

/** A picture as a request names it. */
export type PictureSource =
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array; readonly from: "upload" | "base64" }
  | { readonly kind: "image_id"; readonly imageId: ImageId };

/** A picture with everything of it that does not depend on the model. */
export type LoadedPicture =
  | { readonly kind: "file"; readonly bytes: Uint8Array; readonly partitions: Partitions }
  | { readonly kind: "known"; readonly imageId: ImageId; readonly partitions: Partitions };

export interface OpenedPicture {
  readonly imageId: ImageId;
  readonly partitions: Partitions;
  readonly size: number;
  /** Just decoded; undefined for a picture named by its id. */
  readonly pixels: Uint8Array | undefined;
}

export interface PictureRooms {
  readonly fetchPicture: PictureFetcher;
  readonly canonicalise: Canonicalise;
  readonly pixels: PixelStore;
}

export async function loadPicture(
  rooms: PictureRooms,
  source: PictureSource,
  context: AuthenticatedContext,
): Promise<LoadedPicture> {
  const { caller, event, signal } = context;
  event["image_source"] = source.kind === "bytes" ? source.from : source.kind;
  switch (source.kind) {
    case "bytes":
      event["image_bytes"] = source.bytes.length;
      return { kind: "file", bytes: source.bytes, partitions: partitionsOf(caller.tenant, false) };
    case "url": {
      const fetched = await rooms.fetchPicture(source.url, signal);
      event["image_bytes"] = fetched.bytes.length;
      event["image_host"] = fetched.host;
      event["image_redirects"] = fetched.redirects;
      const partitions = partitionsOf(caller.tenant, fetched.isPublic);
      return { kind: "file", bytes: fetched.bytes, partitions };
    }
    case "image_id": {
      const own = tenantPartition(caller.tenant);
      const known = await rooms.pixels.knownIn([own, publicPartition], source.imageId);
      if (known.length === 0) {
        throw new AppError(
          "image_not_found",
          "No image with this id was sent with this key before.",
        );
      }
      const isPublic = known.includes(publicPartition);
      return {
        kind: "known",
        imageId: source.imageId,
        partitions: partitionsOf(caller.tenant, isPublic),
      };
    }
  }
}

/** The picture for a model whose input has `size` pixels a side. */
export async function openPicture(
  rooms: PictureRooms,
  loaded: LoadedPicture,
  size: number,
  context: AuthenticatedContext,
): Promise<OpenedPicture> {
  const { event, signal } = context;
  const { partitions } = loaded;
  if (loaded.kind === "known") {
    event["image_id"] = loaded.imageId;
    return { imageId: loaded.imageId, partitions, size, pixels: undefined };
  }
  const picture = await rooms.canonicalise(loaded.bytes, size, signal);
  event["image_id"] = picture.imageId;
  event["image_type"] = picture.type;
  event["image_size"] = `${picture.width}x${picture.height}`;
  return { imageId: picture.imageId, partitions, size, pixels: picture.pixels };
}
