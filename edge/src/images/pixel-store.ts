// Canonical pixels at rest, under partition, image_id and size, and the mark that a partition knows an
// image at all, which outlives the pixels. Originals are never kept.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import type { Partition } from "../partition.ts";

/** What this room needs of R2. */
export interface ObjectStore {
  put(
    key: string,
    value: Uint8Array,
    options?: { customMetadata: Record<string, string> },
  ): Promise<unknown>;
  get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
  head(key: string): Promise<{ readonly customMetadata?: Record<string, string> } | null>;
}

/** That a partition knows an image, and whether its pixels were made exactly. */
export interface KnownImage {
  readonly partition: Partition;
  readonly exact: boolean;
}

export interface PixelStore {
  put(
    partitions: readonly Partition[],
    imageId: ImageId,
    size: number,
    pixels: Uint8Array,
    exact: boolean,
  ): Promise<void>;
  /** The pixels from the first of the partitions that holds them. */
  get(
    partitions: readonly Partition[],
    imageId: ImageId,
    size: number,
  ): Promise<Uint8Array | undefined>;
  /** The partitions, of those given, in which the image was once seen. */
  knownIn(partitions: readonly Partition[], imageId: ImageId): Promise<KnownImage[]>;
}

const pixelsKey = (partition: Partition, imageId: ImageId, size: number): string =>
  `pixels/${partition}/${imageId}/${size}`;
const markKey = (partition: Partition, imageId: ImageId): string => `known/${partition}/${imageId}`;

export function pixelStore(store: ObjectStore): PixelStore {
  return {
    async put(partitions, imageId, size, pixels, exact) {
      const mark = { customMetadata: { exact: String(exact) } };
      await Promise.all(
        partitions.flatMap((partition) => [
          store.put(pixelsKey(partition, imageId, size), pixels),
          store.put(markKey(partition, imageId), new Uint8Array(0), mark),
        ]),
      );
    },
    async get(partitions, imageId, size) {
      for (const partition of partitions) {
        const object = await store.get(pixelsKey(partition, imageId, size));
        if (object === null) continue;
        const pixels = new Uint8Array(await object.arrayBuffer());
        if (pixels.length === size * size * 3) return pixels;
      }
      return undefined;
    },
    async knownIn(partitions, imageId) {
      const marks = await Promise.all(
        partitions.map((partition) => store.head(markKey(partition, imageId))),
      );
      return partitions.flatMap((partition, index): KnownImage[] => {
        const mark = marks[index];
        if (mark === null || mark === undefined) return [];
        return [{ partition, exact: mark.customMetadata?.["exact"] !== "false" }];
      });
    },
  };
}
