// The links of a record to its picture's files, made anew with each answer. Equal for a while, so that a browser that
// has followed one need not again for the next answer; never shorter-lived than the setting says.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { picturePath } from "@blip2-edge/shared/contracts/images";
import { tenantPartition, type Partition } from "../partition.ts";
import type { StoredRecord } from "../search/image-index.ts";
import type { PictureLinks } from "./picture-link.ts";

export interface RecordUrls {
  readonly thumbnail_url?: string;
  readonly original_url?: string;
}
type Linkable = Pick<StoredRecord, "imageId" | "thumbnailAt" | "originalAt">;

export type LinksOf = (
  of: { readonly tenant: string; readonly namespace: string },
  record: Linkable,
) => Promise<RecordUrls>;

export interface ThumbnailLinkOptions {
  readonly links: PictureLinks;
  readonly ttlS: number;
  readonly origin: string;
  readonly now?: () => number;
}

/** To the thumbnail of a picture of this tenant, whether one is kept or not. */
export async function thumbnailLink(
  { links, ttlS, origin, now = Date.now }: ThumbnailLinkOptions,
  of: { readonly tenant: string; readonly imageId: ImageId },
): Promise<string> {
  return urlOf(
    origin,
    await links.write({ ...of, until: linkUntil(now(), ttlS), variant: "thumbnail" }),
  );
}

const urlOf = (origin: string, token: string): string =>
  `${origin}${picturePath.replace("{token}", token)}`;

export interface RecordLinksOptions {
  readonly links: PictureLinks;
  readonly ttlS: number;
  /** Where the Worker was asked; undefined: nobody did, and what is answered is kept longer than a link lives. */
  readonly origin: string | undefined;
  readonly purgedAt: (own: Partition, imageId: string) => Promise<number>;
  readonly now?: () => number;
}

/** New links begin so many times while one lives. */
const stepsOfLife = 8;

/** Unix seconds: at least `ttlS` from now, and the same for an eighth of that. */
export function linkUntil(now: number, ttlS: number): number {
  const stepS = Math.max(1, Math.floor(ttlS / stepsOfLife));
  return Math.ceil(now / 1000 / stepS) * stepS + ttlS;
}

export function recordLinks(options: RecordLinksOptions): LinksOf {
  const { links, ttlS, origin, purgedAt, now = Date.now } = options;
  return async ({ tenant, namespace }, { imageId, thumbnailAt, originalAt }) => {
    if (origin === undefined) return {};
    const forgotten = await purgedAt(tenantPartition(tenant), imageId);
    const isThere = (at: number | null): boolean => at !== null && at > forgotten;
    const of = { tenant, imageId };
    const until = linkUntil(now(), ttlS);
    const original = { ...of, until, variant: "original", namespace } as const;
    return {
      ...(isThere(thumbnailAt)
        ? { thumbnail_url: await thumbnailLink({ links, ttlS, origin, now }, of) }
        : {}),
      ...(isThere(originalAt) ? { original_url: urlOf(origin, await links.write(original)) } : {}),
    };
  };
}
