// The book of addresses: which picture a URL led to, how long that may be believed, and how its origin is
// asked whether it still is so. Under the partitions of the picture; the URL itself is kept as a digest alone.
// Whether a caller may use an address at all is not decided here (tasks/open-url.ts).
import { sha256Hex } from "@blip2-edge/shared/hex";
import { z } from "zod";
import type { Partition, Partitions } from "../partition.ts";
import {
  covers,
  knownPictureSchema,
  pictureOf,
  pictureReader,
  recordOf,
  type KnownPicture,
} from "./known-picture.ts";
import type { PurgedAt } from "./purges.ts";
import { writeStored, type BookSettings } from "./stored.ts";

/** What the fetcher tells of an address (images/fetch.ts), in its own words. */
export interface AddressFacts {
  readonly origins: readonly string[];
  readonly lastHop: string;
  readonly isPublic: boolean;
  readonly caching: {
    readonly lifetimes: {
      readonly freshS: number;
      readonly staleWhileRevalidateS: number;
      readonly staleIfErrorS: number;
    };
    readonly validators: { readonly etag?: string; readonly lastModified?: string };
    readonly since: number;
  };
}

export interface KnownAddress extends AddressFacts {
  readonly picture: KnownPicture;
}

export interface AddressBook {
  find(partitions: Partitions, url: string): Promise<KnownAddress | undefined>;
  remember(partitions: Partitions, url: string, known: KnownAddress): Promise<void>;
  forget(partitions: readonly Partition[], url: string): Promise<void>;
}

const seconds = z.number().min(0);
const recordSchema = z.object({
  ...knownPictureSchema.shape,
  origins: z.array(z.string()),
  last_hop: z.string(),
  is_public: z.boolean(),
  since: z.number(),
  fresh_s: seconds,
  stale_while_revalidate_s: seconds,
  stale_if_error_s: seconds,
  etag: z.string().optional(),
  last_modified: z.string().optional(),
});

function addressOf(record: z.output<typeof recordSchema>): KnownAddress {
  const { etag, last_modified: lastModified } = record;
  return {
    picture: pictureOf(record),
    origins: record.origins,
    lastHop: record.last_hop,
    isPublic: record.is_public,
    caching: {
      since: record.since,
      lifetimes: {
        freshS: record.fresh_s,
        staleWhileRevalidateS: record.stale_while_revalidate_s,
        staleIfErrorS: record.stale_if_error_s,
      },
      validators: {
        ...(etag === undefined ? {} : { etag }),
        ...(lastModified === undefined ? {} : { lastModified }),
      },
    },
  };
}

function recordOfAddress(known: KnownAddress): z.input<typeof recordSchema> {
  const { lifetimes, validators, since } = known.caching;
  return {
    ...recordOf(known.picture),
    origins: [...known.origins],
    last_hop: known.lastHop,
    is_public: known.isPublic,
    since,
    fresh_s: lifetimes.freshS,
    stale_while_revalidate_s: lifetimes.staleWhileRevalidateS,
    stale_if_error_s: lifetimes.staleIfErrorS,
    etag: validators.etag,
    last_modified: validators.lastModified,
  };
}

const pathOf = async (partition: Partition, url: string): Promise<string> =>
  `addresses/${partition}/v1/${await sha256Hex(url)}`;

const reader = (purgedAt: PurgedAt) => pictureReader(recordSchema, addressOf, purgedAt);

/** Nothing would change but the moment, and that by less than a lifetime is exact to. */
function isOld(known: KnownAddress, recalled: KnownAddress | undefined): boolean {
  if (recalled === undefined || !covers(recalled.picture, known.picture)) return false;
  const undated = ({ caching, ...facts }: KnownAddress): string =>
    JSON.stringify(
      recordOfAddress({ ...facts, picture: known.picture, caching: { ...caching, since: 0 } }),
    );
  if (undated(known) !== undated(recalled)) return false;
  const { freshS, staleWhileRevalidateS, staleIfErrorS } = known.caching.lifetimes;
  const hasLifetime = freshS + staleWhileRevalidateS + staleIfErrorS > 0;
  return !hasLifetime || known.caching.since - recalled.caching.since < 1000;
}

export function addressBook({ tiers, purges, at }: BookSettings): AddressBook {
  return {
    async find(partitions, url) {
      const paths = await Promise.all(partitions.map((partition) => pathOf(partition, url)));
      return (await tiers.find(paths, reader(await purges.of(partitions[0]))))?.value;
    },
    async remember(partitions, url, known) {
      const read = reader(await purges.of(partitions[0]));
      const text = writeStored({ at, value: recordOfAddress(known) });
      await Promise.all(
        partitions.map(async (partition) => {
          const path = await pathOf(partition, url);
          const recalled = tiers.recall(path);
          if (recalled !== undefined && isOld(known, read(recalled))) return;
          await tiers.put(path, text);
        }),
      );
    },
    async forget(partitions, url) {
      await Promise.all(
        partitions.map(async (partition) => tiers.delete(await pathOf(partition, url))),
      );
    },
  };
}
