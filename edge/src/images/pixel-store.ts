// Canonical pixels at rest, under partition, image_id and size, and the mark that a partition knows an
// image at all, which outlives the pixels. Originals are never kept. What was stored before its image was
// forgotten is as good as not there.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import type { Partition, Partitions } from "../partition.ts";

/** What this room needs of R2. */
export interface ObjectStore {
  put(
    key: string,
    value: Uint8Array,
    options?: { customMetadata: Record<string, string> },
  ): Promise<unknown>;
  get(key: string): Promise<(StoredObject & { arrayBuffer(): Promise<ArrayBuffer> }) | null>;
  head(key: string): Promise<StoredObject | null>;
}
interface StoredObject {
  readonly customMetadata?: Record<string, string>;
}

export interface PixelStoreOptions {
  readonly store: ObjectStore;
  /** When the request began, Unix milliseconds: what it stores is of that time. */
  readonly at: number;
  /** For a caller with this partition: when what was known of an image was last forgotten. */
  readonly purgedAt: (own: Partition, imageId: ImageId) => Promise<number>;
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
  get(partitions: Partitions, imageId: ImageId, size: number): Promise<Uint8Array | undefined>;
  /** The partitions, of those given, in which the image was once seen. */
  knownIn(partitions: Partitions, imageId: ImageId): Promise<KnownImage[]>;
}

const pixelsKey = (partition: Partition, imageId: ImageId, size: number): string =>
  `pixels/${partition}/${imageId}/${size}`;
const markKey = (partition: Partition, imageId: ImageId): string => `known/${partition}/${imageId}`;

const storedAt = ({ customMetadata }: StoredObject): number => Number(customMetadata?.["at"] ?? 0);

export function pixelStore({ store, at, purgedAt }: PixelStoreOptions): PixelStore {
  return {
    async put(partitions, imageId, size, pixels, exact) {
      const options = { customMetadata: { exact: String(exact), at: String(at) } };
      await Promise.all(
        partitions.flatMap((partition) => [
          store.put(pixelsKey(partition, imageId, size), pixels, options),
          store.put(markKey(partition, imageId), new Uint8Array(0), options),
        ]),
      );
    },
    async get(partitions, imageId, size) {
      const purged = await purgedAt(partitions[0], imageId);
      for (const partition of partitions) {
        const object = await store.get(pixelsKey(partition, imageId, size));
        if (object === null || storedAt(object) <= purged) continue;
        const pixels = new Uint8Array(await object.arrayBuffer());
        if (pixels.length === size * size * 3) return pixels;
      }
      return undefined;
    },
    async knownIn(partitions, imageId) {
      const purged = await purgedAt(partitions[0], imageId);
      const marks = await Promise.all(
        partitions.map((partition) => store.head(markKey(partition, imageId))),
      );
      return partitions.flatMap((partition, index): KnownImage[] => {
        const mark = marks[index];
        if (mark === null || mark === undefined || storedAt(mark) <= purged) return [];
        return [{ partition, exact: mark.customMetadata?.["exact"] !== "false" }];
      });
    },
  };
}
