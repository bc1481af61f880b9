// The book of files: which picture the bytes are that were sent before, so that they are not decoded again.
// By the digest of the file, under the partitions of the picture it came as.
import type { Partition, Partitions } from "../partition.ts";
import {
  covers,
  knownPictureSchema,
  merged,
  pictureOf,
  pictureReader,
  recordOf,
  type KnownPicture,
} from "./known-picture.ts";
import type { PurgedAt } from "./purges.ts";
import { writeStored, type BookSettings } from "./stored.ts";

export interface DigestBook {
  /** `digest`: SHA-256 of the file, hex. */
  find(partitions: Partitions, digest: string): Promise<KnownPicture | undefined>;
  remember(
    partitions: Partitions,
    digest: string,
    picture: KnownPicture,
    known?: KnownPicture,
  ): Promise<void>;
  forget(partitions: readonly Partition[], digest: string): Promise<void>;
}

/** The version is that of canonical images: another decoder or resampler would make other ids. */
const pathOf = (partition: Partition, digest: string): string =>
  `digests/${partition}/v1/${digest}`;

const reader = (purgedAt: PurgedAt) => pictureReader(knownPictureSchema, pictureOf, purgedAt);

export function digestBook({ tiers, purges, at }: BookSettings): DigestBook {
  return {
    async find(partitions, digest) {
      const paths = partitions.map((partition) => pathOf(partition, digest));
      return (await tiers.find(paths, reader(await purges.of(partitions[0]))))?.value;
    },
    async remember(partitions, digest, picture, known) {
      const read = reader(await purges.of(partitions[0]));
      const text = writeStored({ at, value: recordOf(merged(known, picture)) });
      await Promise.all(
        partitions.map(async (partition) => {
          const path = pathOf(partition, digest);
          // Many may send the same file at the same time; this isolate writes it down once.
          const recalled = tiers.recall(path);
          if (recalled !== undefined && covers(read(recalled), picture)) return;
          await tiers.put(path, text);
        }),
      );
    },
    async forget(partitions, digest) {
      await Promise.all(partitions.map((partition) => tiers.delete(pathOf(partition, digest))));
    },
  };
}
