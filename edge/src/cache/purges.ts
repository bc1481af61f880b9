// What of the cache is forgotten: moments in a table, by partition, picture and model revision. Nothing is
// listed or deleted; whatever was known before its moment is not believed any more, in any tier. An isolate
// reads the moments of a partition at most every `ttlMs` and believes them so long.
import { z } from "zod";
import type { Claims } from "../claims.ts";
import type { Partition } from "../partition.ts";

type SqlValue = string | number | null;
/** What this room needs of D1. */
export interface PurgeTable {
  prepare(sql: string): {
    bind(...values: SqlValue[]): {
      all(): Promise<{ readonly results: readonly unknown[] }>;
      run(): Promise<unknown>;
    };
  };
}

/**
 * In the place of a revision: the picture was deleted, so that its stores hold nothing of it any more and only
 * what lies in caches must not be believed.
 */
export const deletedPicture = "deleted";

/** `*`: every one. */
export interface PurgeScope {
  readonly partition: Partition | "*";
  readonly imageId: string;
  readonly modelRevision: string;
}

/** What something in the cache is about; results of a text have no picture, pictures no revision. */
export interface About {
  readonly imageId?: string | undefined;
  readonly modelRevision?: string | undefined;
  /** A copy that says that a picture is known, of what the store of pictures says. */
  readonly isMark?: true;
}

/** Whatever is about this and was known at that moment or before is forgotten. Unix milliseconds. */
export type PurgedAt = (about: About) => number;

export interface Purges {
  /** What a caller may believe of what it finds, with the caller's own partition. */
  of(partition: Partition): Promise<PurgedAt>;
  /** Forgets; resolves to the moment. */
  add(scope: PurgeScope): Promise<number>;
}

/** Plain data of one isolate, bounded. */
export type PurgeMemory = Map<
  Partition,
  { readonly purges: ReadonlyMap<string, number>; readonly readAt: number }
>;
const maxRemembered = 1000;
/** Before anything was known. */
const never = -1;
/**
 * More purges of one partition become one of all that it holds; more deletions one of all cached marks, which are
 * read again from where the pictures lie.
 */
const maxPurges = 1000;

const rowSchema = z.object({
  image_id: z.string(),
  model_revision: z.string(),
  purged_at: z.number(),
});
const scopeKey = (imageId: string, modelRevision: string): string => `${imageId} ${modelRevision}`;

export interface PurgesOptions {
  readonly table: PurgeTable;
  readonly memory: PurgeMemory;
  readonly claims: Claims;
  readonly ttlMs: number;
  readonly later: (work: Promise<unknown>) => void;
  readonly onFault: (error: unknown) => void;
  readonly now?: () => number;
}

/** The rooms of one request; it reads the table at most once for each partition. */
export function purges(options: PurgesOptions): Purges {
  const { table, memory, claims, ttlMs, later, onFault, now = Date.now } = options;

  async function read(partition: Partition): Promise<ReadonlyMap<string, number>> {
    const readAt = now();
    const { results } = await table
      .prepare(
        "SELECT image_id, model_revision, max(purged_at) AS purged_at FROM cache_purges WHERE partition IN (?, '*') GROUP BY image_id, model_revision",
      )
      .bind(partition)
      .all();
    const found = new Map<string, number>();
    for (const row of results) {
      const { image_id: imageId, model_revision: revision, purged_at: at } = rowSchema.parse(row);
      found.set(scopeKey(imageId, revision), at);
    }
    memory.delete(partition);
    memory.set(partition, { purges: found, readAt });
    const oldest = memory.keys().next();
    if (memory.size > maxRemembered && !oldest.done) memory.delete(oldest.value);
    return found;
  }

  async function believed(partition: Partition): Promise<ReadonlyMap<string, number> | undefined> {
    const known = memory.get(partition);
    const age = known === undefined ? Infinity : now() - known.readAt;
    if (known !== undefined && age < ttlMs) {
      // Read again before it is too old, so that hits seldom wait for the table.
      if (age > ttlMs / 2 && claims.take(`purges ${partition}`)) {
        later(read(partition).catch(onFault));
      }
      return known.purges;
    }
    try {
      return await read(partition);
    } catch (error) {
      // Who cannot read the table cannot add to it, either: what was read last holds.
      onFault(error);
      return known?.purges;
    }
  }

  const inRequest = new Map<Partition, Promise<PurgedAt>>();
  return {
    of(partition) {
      const asked = inRequest.get(partition);
      if (asked !== undefined) return asked;
      const answer = believed(partition).then(purgedAtOf);
      inRequest.set(partition, answer);
      return answer;
    },
    async add({ partition, imageId, modelRevision }) {
      const at = now();
      const put = (image: string, revision: string) =>
        table
          .prepare(
            "INSERT INTO cache_purges (partition, image_id, model_revision, purged_at) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET purged_at = max(purged_at, excluded.purged_at)",
          )
          .bind(partition, image, revision, at)
          .run();
      await put(imageId, modelRevision);
      const isDeletion = modelRevision === deletedPicture;
      const kind = `partition = ? AND model_revision ${isDeletion ? "=" : "<>"} '${deletedPicture}'`;
      const { results } = await table
        .prepare(`SELECT 1 FROM cache_purges WHERE ${kind} LIMIT ?`)
        .bind(partition, maxPurges + 1)
        .all();
      if (results.length > maxPurges) {
        const all = isDeletion ? deletedPicture : "*";
        await put("*", all);
        await table
          .prepare(
            `DELETE FROM cache_purges WHERE ${kind} AND NOT (image_id = '*' AND model_revision = '${all}')`,
          )
          .bind(partition)
          .run();
      }
      if (partition === "*") memory.clear();
      else memory.delete(partition);
      return at;
    },
  };
}

/** Without a list nothing is believed. */
function purgedAtOf(found: ReadonlyMap<string, number> | undefined): PurgedAt {
  if (found === undefined) return () => Infinity;
  return ({ imageId, modelRevision, isMark }) => {
    let latest = found.get(scopeKey("*", "*")) ?? never;
    const consider = (image: string, revision: string): void => {
      latest = Math.max(latest, found.get(scopeKey(image, revision)) ?? never);
    };
    if (imageId !== undefined) {
      consider(imageId, "*");
      consider(imageId, deletedPicture);
    }
    if (isMark === true) consider("*", deletedPicture);
    if (modelRevision !== undefined) consider("*", modelRevision);
    if (imageId !== undefined && modelRevision !== undefined) consider(imageId, modelRevision);
    return latest;
  };
}
