// From what the caller sent to a picture: where it belongs, what it is, its pixels if they are at hand. Here:
// what a picture is to the tasks, and files. A file that was sent before is known by its digest and not decoded.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { sha256Hex } from "@blip2-edge/shared/hex";
import type { RgbaPicture } from "@blip2-edge/shared/image/thumbnail";
import type { AddressBook } from "../cache/addresses.ts";
import type { Claims } from "../claims.ts";
import type { DigestBook } from "../cache/digests.ts";
import type { MarkBook } from "../cache/marks.ts";
import type { KnownPicture } from "../cache/known-picture.ts";
import { keepsNothing, type AuthenticatedContext } from "../context.ts";
import type { Admit } from "../images/admit.ts";
import type { Canonicalise, InexactBecause } from "../images/canonicalise.ts";
import type { PictureFetcher } from "../images/fetch.ts";
import type { KeptPictures } from "../images/kept-pictures.ts";
import type { PictureMemory } from "../images/picture-memory.ts";
import type { PixelStore } from "../images/pixel-store.ts";
import { describeError, type LogEvent } from "../log.ts";
import { tenantPartition, type Partitions } from "../partition.ts";

/** A picture as a request names it. */
export type PictureSource =
  | { readonly kind: "url"; readonly url: string }
  | {
      readonly kind: "bytes";
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly from: "upload" | "base64" | "url";
    }
  | { readonly kind: "image_id"; readonly imageId: ImageId };

export interface OpenedPicture {
  readonly imageId: ImageId;
  /** Decoded and resized as the reference does; false: another resampler shrank it first. */
  readonly exact: boolean;
  /** Why not, when it was just decoded: what is so only for a moment is not remembered. */
  readonly inexactBecause?: InexactBecause;
  readonly partitions: Partitions;
  readonly size: number;
  /** Just decoded; undefined for a picture that is known. */
  readonly pixels: Uint8Array | undefined;
  /** Made with them, where nothing was known of the file. */
  readonly thumbnail?: RgbaPicture | undefined;
  /** Of one that was just read: keeps its pixels, then what it is known by. Undefined: nothing is kept. */
  readonly keeping?: Keeping;
  /** Of a picture that was known by its file or address: forgets that. */
  readonly forget?: () => Promise<void>;
  /** Reads it again, whatever is known. Undefined where only the caller has the file. */
  readonly again?: () => Promise<OpenedPicture>;
}

/** Done once in a request, however often it is asked for. A failure is told in the log and nowhere else. */
export interface Keeping {
  now(): Promise<void>;
  /** Unless another request of this isolate does the same. */
  unlessClaimed(): Promise<void>;
}

export interface PictureRooms {
  readonly admit: Admit;
  readonly fetchPicture: PictureFetcher;
  readonly canonicalise: Canonicalise;
  readonly pixels: PixelStore;
  readonly kept: KeptPictures;
  readonly marks: MarkBook;
  readonly digests: DigestBook;
  readonly addresses: AddressBook;
  readonly claims: Claims;
  readonly pictureMemory: Pick<PictureMemory, "highWaterBytes" | "share">;
}

/** A picture that is known at the size. */
export function knownPicture(
  by: "digest" | "address",
  { imageId, exact }: KnownPicture,
  partitions: Partitions,
  size: number,
  { event, memory }: AuthenticatedContext,
): OpenedPicture {
  // Whoever waits for a node holds no file, and no pixels either.
  memory.keep(0);
  event["image_known_by"] = by;
  return { imageId, exact, partitions, size, pixels: undefined };
}

/** What is remembered of a picture; nothing of one that was inexact only because of the moment. */
export const rememberable = (picture: OpenedPicture): KnownPicture | undefined =>
  picture.inexactBecause === "busy"
    ? undefined
    : { imageId: picture.imageId, exact: picture.exact, sizes: [picture.size] };

export interface FileToOpen {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly partitions: Partitions;
  readonly size: number;
  /** Even if it is known. */
  readonly decodes?: boolean | undefined;
  /** What besides its digest is to be remembered of the picture, once its pixels are kept. */
  readonly remember?: (picture: OpenedPicture) => Promise<void>;
}

/** Throws the problems of reading a picture. */
export async function openFile(
  rooms: PictureRooms,
  file: FileToOpen,
  context: AuthenticatedContext,
): Promise<OpenedPicture> {
  const { event, memory } = context;
  const { bytes, partitions, size, decodes = false, remember = () => Promise.resolve() } = file;
  const { digests } = rooms;
  event["image_bytes"] = bytes.length;
  memory.keep(bytes.buffer.byteLength);
  if (keepsNothing(context)) return decode(rooms, file, context);
  const digest = await sha256Hex(bytes);
  const known = decodes ? undefined : await digests.find(partitions, digest);
  if (known?.sizes.includes(size) === true) {
    const picture = knownPicture("digest", known, partitions, size, context);
    context.later(remember(picture));
    return { ...picture, forget: () => digests.forget(partitions, digest) };
  }
  const wants = { thumbnail: known === undefined };
  const picture = await decode(rooms, file, context, wants);
  const keep = async (): Promise<void> => {
    const { imageId, pixels, exact, thumbnail } = picture;
    if (pixels !== undefined) await rooms.pixels.put(partitions, imageId, size, pixels, exact);
    // By now the node has been asked: encoding takes no time from it.
    if (thumbnail !== undefined) await keepThumbnail(rooms, imageId, thumbnail, context);
    const worth = rememberable(picture);
    if (worth !== undefined) await digests.remember(partitions, digest, worth, known);
    await remember(picture);
  };
  const claim = `keep ${partitions.join(" ")} ${digest} ${size}`;
  return { ...picture, keeping: keepingOf(rooms.claims, claim, keep, event) };
}

function keepingOf(
  claims: Claims,
  claim: string,
  keep: () => Promise<void>,
  event: LogEvent,
): Keeping {
  let begun: Promise<void> | undefined;
  const now = (): Promise<void> =>
    (begun ??= keep().catch((error: unknown) => {
      event["picture_store_fault"] = describeError(error);
    }));
  return {
    now() {
      claims.take(claim);
      return now();
    },
    unlessClaimed: () => begun ?? (claims.take(claim) ? now() : Promise.resolve()),
  };
}

/** Without it a picture is as good as before. */
export async function keepThumbnail(
  { kept }: Pick<PictureRooms, "kept">,
  imageId: ImageId,
  pixels: RgbaPicture,
  { caller, event }: AuthenticatedContext,
): Promise<void> {
  try {
    await kept.putThumbnail(tenantPartition(caller.tenant), imageId, pixels);
  } catch (error) {
    event["thumbnail_fault"] = describeError(error);
  }
}

async function decode(
  rooms: PictureRooms,
  { bytes, partitions, size }: FileToOpen,
  { event, hops, memory, signal }: AuthenticatedContext,
  wants = { thumbnail: false },
): Promise<OpenedPicture> {
  const picture = await hops.time("decode", async () => {
    const canonical = await rooms.canonicalise(bytes, size, memory, signal, wants);
    // The platform's clock may stand still while a Worker computes; a timer moves it.
    await new Promise((resolve) => setTimeout(resolve, 0));
    return canonical;
  });
  event["image_type"] = picture.type;
  event["image_size"] = `${picture.width}x${picture.height}`;
  event["image_memory_high"] = rooms.pictureMemory.highWaterBytes();
  const { imageId, pixels, exact, thumbnail } = picture;
  // The file may go now: who waits for a node holds the pixels alone.
  memory.keep(pixels.length + (thumbnail?.data.length ?? 0));
  const opened = { imageId, partitions, size, pixels, thumbnail };
  if (exact === true) return { ...opened, exact };
  event["image_inexact"] = exact;
  return { ...opened, exact: false, inexactBecause: exact };
}

/** What every answer about a picture says of it. */
export const namedIn = ({ imageId, exact }: Pick<OpenedPicture, "imageId" | "exact">) => ({
  image_id: imageId,
  ...(exact ? {} : { image_exact: false as const }),
});
