// A picture as the books of the cache know it: by its id, without its pixels.
import { imageIdSchema, type ImageId } from "@blip2-edge/shared/contracts/image";
import { z } from "zod";
import type { PurgedAt } from "./purges.ts";
import { readStored } from "./stored.ts";

const maxSizes = 16;
const maxSide = 4096;

export const knownPictureSchema = z.object({
  image_id: imageIdSchema,
  /** Decoded and resized as the reference does. */
  exact: z.boolean(),
  /** Sides, in pixels, at which its pixels were made and should lie in the store. */
  sizes: z.array(z.int().min(1).max(maxSide)).max(maxSizes),
});

export interface KnownPicture {
  readonly imageId: ImageId;
  readonly exact: boolean;
  readonly sizes: readonly number[];
}

export const pictureOf = (record: z.output<typeof knownPictureSchema>): KnownPicture => ({
  imageId: record.image_id,
  exact: record.exact,
  sizes: record.sizes,
});

export const recordOf = ({ imageId, exact, sizes }: KnownPicture) => ({
  image_id: imageId,
  exact,
  sizes: sizes.slice(-maxSizes),
});

/** Reads what a book keeps of a picture and more; undefined for what is none, or is forgotten. */
export const pictureReader =
  <Record extends { readonly image_id: string }, Known>(
    schema: z.ZodType<Record>,
    knownOf: (record: Record) => Known,
    purgedAt: PurgedAt,
  ) =>
  (text: string): Known | undefined => {
    const stored = readStored(schema, text, ({ image_id: imageId }) => purgedAt({ imageId }));
    return stored === undefined ? undefined : knownOf(stored.value);
  };

/** The same picture, known at the sizes of both; another one replaces what was known. */
export function merged(known: KnownPicture | undefined, picture: KnownPicture): KnownPicture {
  if (known?.imageId !== picture.imageId || known.exact !== picture.exact) return picture;
  return { ...picture, sizes: [...new Set([...known.sizes, ...picture.sizes])] };
}

/** Whether `known` says all that `picture` does. */
export const covers = (known: KnownPicture | undefined, picture: KnownPicture): boolean =>
  known !== undefined &&
  known.imageId === picture.imageId &&
  known.exact === picture.exact &&
  picture.sizes.every((size) => known.sizes.includes(size));
