// From what the caller sent to a picture: where it belongs, what it is, its pixels if they are at hand.
// Fetching and reading happen once; canonical pixels are made for the model that asks.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { sha256Hex } from "@blip2-edge/shared/hex";
import { AppError } from "@blip2-edge/shared/problem";
import type { AuthenticatedContext } from "../context.ts";
import type { Canonicalise, InexactBecause } from "../images/canonicalise.ts";
import type { PictureFetcher } from "../images/fetch.ts";
import type { PictureMemory } from "../images/picture-memory.ts";
import type { PixelStore } from "../images/pixel-store.ts";
import { partitionsOf, publicPartition, tenantPartition, type Partitions } from "../partition.ts";

/** A picture as a request names it. */
export type PictureSource =
  | { readonly kind: "url"; readonly url: string }
  | {
      readonly kind: "bytes";
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly from: "upload" | "base64";
    }
  | { readonly kind: "image_id"; readonly imageId: ImageId };

/**
 * A picture with everything of it that does not depend on the model. The digest of a file's bytes is there
 * before anything is decoded: by it a file that was seen before can be known without decoding.
 */
export type LoadedPicture =
  | {
      readonly kind: "file";
      readonly bytes: Uint8Array;
      /** SHA-256 of the bytes, lower-case hex. */
      readonly digest: string;
      readonly partitions: Partitions;
    }
  | {
      readonly kind: "known";
      readonly imageId: ImageId;
      readonly exact: boolean;
      readonly partitions: Partitions;
    };

export interface OpenedPicture {
  readonly imageId: ImageId;
  /** Decoded and resized as the reference does; false: another resampler shrank it first. */
  readonly exact: boolean;
  /** Why not, when it was just decoded: what is so only for a moment should not be remembered. */
  readonly inexactBecause?: InexactBecause;
  readonly partitions: Partitions;
  readonly size: number;
  /** Just decoded; undefined for a picture named by its id. */
  readonly pixels: Uint8Array | undefined;
}

export interface PictureRooms {
  readonly fetchPicture: PictureFetcher;
  readonly canonicalise: Canonicalise;
  readonly pixels: PixelStore;
  readonly pictureMemory: Pick<PictureMemory, "highWaterBytes">;
}

export async function loadPicture(
  rooms: PictureRooms,
  source: PictureSource,
  context: AuthenticatedContext,
): Promise<LoadedPicture> {
  const { caller, event, hops, memory, signal } = context;
  const fileOf = async (
    bytes: Uint8Array<ArrayBuffer>,
    isPublic: boolean,
  ): Promise<LoadedPicture> => {
    event["image_bytes"] = bytes.length;
    memory.keep(bytes.buffer.byteLength);
    const partitions = partitionsOf(caller.tenant, isPublic);
    return { kind: "file", bytes, digest: await sha256Hex(bytes), partitions };
  };
  event["image_source"] = source.kind === "bytes" ? source.from : source.kind;
  switch (source.kind) {
    case "bytes":
      return fileOf(source.bytes, false);
    case "url": {
      memory.keep(0);
      const allow = caller.fetchAllow;
      const fetched = await hops.time("fetch", () =>
        rooms.fetchPicture(source.url, { allow, memory, signal }),
      );
      event["image_host"] = fetched.host;
      event["image_redirects"] = fetched.redirects;
      return fileOf(fetched.bytes, fetched.isPublic);
    }
    case "image_id": {
      memory.keep(0);
      const own = tenantPartition(caller.tenant);
      const marks = await rooms.pixels.knownIn([own, publicPartition], source.imageId);
      const [mark] = marks;
      if (mark === undefined) {
        throw new AppError(
          "image_not_found",
          "No image with this id was sent with this key before.",
        );
      }
      const isPublic = marks.some(({ partition }) => partition === publicPartition);
      return {
        kind: "known",
        imageId: source.imageId,
        exact: mark.exact,
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
  const { event, hops, memory, signal } = context;
  const { partitions } = loaded;
  if (loaded.kind === "known") {
    const { imageId, exact } = loaded;
    return { imageId, exact, partitions, size, pixels: undefined };
  }
  const picture = await hops.time("decode", async () => {
    const canonical = await rooms.canonicalise(loaded.bytes, size, memory, signal);
    // The platform's clock may stand still while a Worker computes; a timer moves it.
    await new Promise((resolve) => setTimeout(resolve, 0));
    return canonical;
  });
  event["image_type"] = picture.type;
  event["image_size"] = `${picture.width}x${picture.height}`;
  event["image_memory_high"] = rooms.pictureMemory.highWaterBytes();
  const { imageId, pixels, exact } = picture;
  // The file may go now: who waits for a node holds the pixels alone.
  memory.keep(pixels.length);
  if (exact === true) return { imageId, exact, partitions, size, pixels };
  event["image_inexact"] = exact;
  return { imageId, exact: false, inexactBecause: exact, partitions, size, pixels };
}

/** What every answer about a picture says of it. */
export const namedIn = ({ imageId, exact }: Pick<OpenedPicture, "imageId" | "exact">) => ({
  image_id: imageId,
  ...(exact ? {} : { image_exact: false as const }),
});
