// The book of ids: that a tenant may ask about a picture by its image_id, so that a hit by id does not ask the
// store, where the mark itself lies (images/pixel-store.ts). Only what is known is remembered: a picture that
// is unknown may be sent at any time.
import { z } from "zod";
import type { Partition } from "../partition.ts";
import { readStored, writeStored, type BookSettings } from "./stored.ts";

const markSchema = z.object({ exact: z.boolean(), is_public: z.boolean() });

export interface Mark {
  readonly exact: boolean;
  readonly isPublic: boolean;
}

export interface MarkBook {
  /** `own`: the caller's partition. */
  find(own: Partition, imageId: string): Promise<Mark | undefined>;
  remember(own: Partition, imageId: string, mark: Mark): Promise<void>;
  forget(own: Partition, imageId: string): Promise<void>;
}

const pathOf = (own: Partition, imageId: string): string => `marks/${own}/v1/${imageId}`;

export function markBook({ tiers, purges, at }: BookSettings): MarkBook {
  return {
    async find(own, imageId) {
      const purgedAt = (await purges.of(own))({ imageId, isMark: true });
      const read = (text: string) => readStored(markSchema, text, () => purgedAt);
      const found = await tiers.find([pathOf(own, imageId)], read);
      if (found === undefined) return undefined;
      const { exact, is_public: isPublic } = found.value.value;
      return { exact, isPublic };
    },
    remember: (own, imageId, { exact, isPublic }) =>
      tiers.put(pathOf(own, imageId), writeStored({ at, value: { exact, is_public: isPublic } })),
    forget: (own, imageId) => tiers.delete(pathOf(own, imageId)),
  };
}
