// The embedded index: records, words and vectors of one namespace in one SQLite, exact at every stage. Its
// methods do not wait, so none sees another's half; what fails leaves the tables as they were.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import type { ImageUpdate } from "@blip2-edge/shared/contracts/images";
import type {
  ImageIndex,
  IndexRecord,
  IndexedBy,
  KeptSince,
  PutRequest,
  RankOutcome,
  RankRequest,
  StoredRecord,
} from "./image-index.ts";
import {
  attributeValue,
  autoTagName,
  bytesOf,
  createTables,
  recordOf,
  selectRecords,
  tagName,
  type IndexSql,
  type IndexValue,
  type RecordRow,
} from "./index-sql.ts";
import { forgetBlock, loadMeans, someMeans } from "./mean-blocks.ts";
import type { MeanTable } from "./mean-table.ts";
import { averaged, quantise } from "./quantise.ts";
import { sqlRanking, type MeansFor } from "./sql-ranking.ts";

/** The same as ImageIndex, without waiting, and what it takes to look for candidates elsewhere. */
export type SqlIndex = {
  [Name in Exclude<keyof ImageIndex, "rank">]: (
    ...args: Parameters<ImageIndex[Name]>
  ) => Awaited<ReturnType<ImageIndex[Name]>>;
} & {
  /** Among the averages of `meansFor`, which is told of pictures that other stages let through; default: of all. */
  rank(request: RankRequest, meansFor?: MeansFor): RankOutcome;
  /** Why the request is not ranked; undefined when it is. */
  refusal(request: RankRequest): RankOutcome | undefined;
  /** Keys of the pictures that the filter leaves, so many at most; undefined: there is no filter. */
  filtered(request: RankRequest, most: number): number[] | undefined;
  /** The averages of these pictures, as many of them as there are. */
  meansOf(keys: Iterable<number>): MeanTable;
  /** Gives back the memory of the averages of all. */
  dropMeans(): void;
  /** Undefined while it is empty. */
  madeBy(): (IndexedBy & { readonly dim: number }) | undefined;
  holds(record: Pick<IndexRecord, "imageId">): boolean;
};

export interface SqlIndexOptions {
  readonly sql: IndexSql;
  /** All of `work` or nothing of it. */
  readonly atomically: <Result>(work: () => Result) => Result;
  readonly maxRecords: number;
  /** Told, in the same transaction, of pictures that come and go. */
  readonly outside?: {
    added(picture: number): void;
    dropped(picture: number): void;
    /** In place of the other. */
    maxRecords(): number;
  };
}

export function sqlIndex({ sql, atomically, outside, ...options }: SqlIndexOptions): SqlIndex {
  createTables(sql);
  const all = <Row>(query: string, ...values: IndexValue[]): Row[] =>
    sql.exec(query, ...values).toArray() as Row[];
  const run = (query: string, ...values: IndexValue[]): void => void all(query, ...values);
  const count = (query: string, ...values: IndexValue[]): number =>
    first(all<{ n: number }>(query, ...values))?.n ?? 0;

  /** Read when it is first needed; undefined after a change that failed. */
  let means: MeanTable | undefined;
  /** Of each table. To count reads all of it, which no search and no put should. */
  const rowsOf: { records?: number; pictures?: number } = {};
  const sizeOf = (table: keyof typeof rowsOf): number =>
    (rowsOf[table] ??= count(`SELECT count(*) AS n FROM ${table}`));
  const grow = (table: keyof typeof rowsOf, by: number): void => {
    rowsOf[table] = sizeOf(table) + by;
  };
  const madeBy = (): (IndexedBy & { readonly dim: number }) | undefined =>
    first(all(`SELECT model, model_revision AS "modelRevision", dim FROM made_by`));

  function loadedMeans(dim: number): MeanTable {
    return (means ??= loadMeans({ all }, dim));
  }

  function change<Result>(work: () => Result): Result {
    try {
      return atomically(work);
    } catch (error) {
      means = undefined;
      delete rowsOf.records;
      delete rowsOf.pictures;
      throw error;
    }
  }

  const whole = (id: string): StoredRecord | undefined => {
    const row = first(all<RecordRow>(`${selectRecords} WHERE r.id = ?`, id));
    return row === undefined ? undefined : recordOf(row);
  };

  const holds = ({ imageId }: Pick<IndexRecord, "imageId">): boolean =>
    count("SELECT EXISTS (SELECT 1 FROM pictures WHERE image_id = ?) AS n", imageId) === 1;

  /** The key of a picture whose vectors stand in the index, put there when they do not. */
  function pictureKey({ record, vectors, dim }: PutRequest): number {
    const known = first(
      all<{ key: number }>("SELECT key FROM pictures WHERE image_id = ?", record.imageId),
    );
    if (known !== undefined) return known.key;
    const coded = quantise(vectors, dim);
    const mean = quantise(averaged(vectors, dim), dim);
    const [meanScale = 0] = mean.scales;
    grow("pictures", 1);
    const key = count(
      "INSERT INTO pictures (image_id, mean_scale, mean) VALUES (?, ?, ?) RETURNING key AS n",
      ...[record.imageId, meanScale, bytesOf(mean.codes)],
    );
    run(
      "INSERT INTO vectors (key, scales, codes) VALUES (?, ?, ?)",
      ...[key, bytesOf(coded.scales), bytesOf(coded.codes)],
    );
    means?.set(key, meanScale, mean.codes);
    forgetBlock({ all }, key);
    outside?.added(key);
    return key;
  }

  /** Takes a picture that no record has any more out of the index. */
  function dropPicture(key: number): ImageId | null {
    if (count("SELECT count(*) AS n FROM records WHERE picture = ?", key) > 0) return null;
    run("DELETE FROM vectors WHERE key = ?", key);
    run("DELETE FROM kept WHERE picture = ?", key);
    grow("pictures", -1);
    means?.delete(key);
    forgetBlock({ all }, key);
    outside?.dropped(key);
    const gone = first(
      all<{ image_id: ImageId }>("DELETE FROM pictures WHERE key = ? RETURNING image_id", key),
    );
    return gone?.image_id ?? null;
  }

  const keepsOriginals = (): boolean =>
    count("SELECT EXISTS (SELECT 1 FROM settings WHERE keep_originals = 1) AS n") === 1;

  function noteKept(picture: number, { thumbnailAt, originalAt }: KeptSince): void {
    run(
      `INSERT INTO kept (picture, thumbnail_at, original_at) VALUES (?, ?, ?) ON CONFLICT (picture) DO UPDATE SET
         thumbnail_at = coalesce(excluded.thumbnail_at, thumbnail_at),
         original_at = coalesce(excluded.original_at, original_at)`,
      ...[picture, thumbnailAt, originalAt],
    );
  }

  function forgetModelIfEmpty(): void {
    if (sizeOf("records") > 0) return;
    run("DELETE FROM made_by");
    means = undefined;
  }

  function writeWords(seq: number, record: IndexRecord): void {
    const { title, text, tags, caption, metadata } = record;
    const autoTags = record.autoTags.map(({ tag }) => tag);
    dropWords(seq);
    run(
      "INSERT INTO words (rowid, title, text, tags, caption) VALUES (?, ?, ?, ?, ?)",
      ...[seq, title, text, tags.join(" , "), saidByModels(caption ?? "", autoTags)],
    );
    const put = (name: string, value: string | number): void =>
      run("INSERT INTO attributes (seq, name, value) VALUES (?, ?, ?)", seq, name, value);
    for (const tag of tags) put(tagName, attributeValue(tag));
    for (const tag of autoTags) put(autoTagName, attributeValue(tag));
    for (const [name, value] of Object.entries(metadata)) put(name, attributeValue(value));
  }
  function dropWords(seq: number): void {
    run("DELETE FROM words WHERE rowid = ?", seq);
    run("DELETE FROM attributes WHERE seq = ?", seq);
  }

  function removeRow({ seq, picture }: Pick<RecordRow, "seq" | "picture">): ImageId | null {
    grow("records", -1);
    run("DELETE FROM records WHERE seq = ?", seq);
    dropWords(seq);
    return dropPicture(picture);
  }

  const ranking = sqlRanking({ all, count, loadedMeans, records: () => sizeOf("records") });
  function refusal(request: RankRequest): RankOutcome | undefined {
    const made = madeBy();
    if (made === undefined) return { kind: "ranked", records: [] };
    const { model, modelRevision } = made;
    if (modelRevision !== request.by.modelRevision) {
      return { kind: "other_model", by: { model, modelRevision } };
    }
    const fields = ranking.unknownFields(request);
    return fields.length > 0 ? { kind: "unknown_fields", fields } : undefined;
  }

  return {
    describe() {
      const by = madeBy();
      return {
        records: sizeOf("records"),
        pictures: sizeOf("pictures"),
        by: by === undefined ? null : { model: by.model, modelRevision: by.modelRevision },
        keepOriginals: keepsOriginals(),
      };
    },

    configure: ({ keepOriginals }) =>
      change(() => {
        run("DELETE FROM settings");
        if (keepOriginals) run("INSERT INTO settings (one, keep_originals) VALUES (1, 1)");
        else run("UPDATE kept SET original_at = NULL");
      }),

    put(request) {
      const { record, by, dim, now, kept } = request;
      return change(() => {
        const own = madeBy();
        if (own !== undefined && own.modelRevision !== by.modelRevision) {
          const { model, modelRevision } = own;
          return { kind: "other_model", by: { model, modelRevision }, holds: holds(record) };
        }
        const before = first(
          all<Pick<RecordRow, "seq" | "picture">>(
            "SELECT seq, picture FROM records WHERE id = ?",
            record.id,
          ),
        );
        const maxRecords = outside?.maxRecords() ?? options.maxRecords;
        if (before === undefined && sizeOf("records") >= maxRecords) {
          return { kind: "full", maxRecords, holds: holds(record) };
        }
        if (own === undefined) {
          run(
            "INSERT INTO made_by (one, model, model_revision, dim) VALUES (1, ?, ?, ?)",
            ...[by.model, by.modelRevision, dim],
          );
        } else if (own.dim !== dim) throw new Error(`vectors of ${dim} numbers, not ${own.dim}`);
        if (before === undefined) grow("records", 1);
        const picture = pictureKey(request);
        if (kept !== undefined) {
          // Who asked for the file may have changed their mind while it was read.
          const originalAt = keepsOriginals() ? kept.originalAt : null;
          noteKept(picture, { ...kept, originalAt });
        }
        const { id, exact, source, title, text, caption } = record;
        const seq = count(
          `INSERT INTO records (id, picture, exact, source, title, text, caption, tags, metadata, auto_tags, created_at, updated_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET picture = excluded.picture,
             exact = excluded.exact, source = excluded.source, title = excluded.title, text = excluded.text,
             caption = excluded.caption, tags = excluded.tags, metadata = excluded.metadata,
             auto_tags = excluded.auto_tags, updated_at = excluded.updated_at
           RETURNING seq AS n`,
          ...[id, picture, exact ? 1 : 0, source, title, text, caption],
          ...[record.tags, record.metadata, record.autoTags].map((each) => JSON.stringify(each)),
          ...[now, now],
        );
        writeWords(seq, record);
        const freed =
          before === undefined || before.picture === picture ? null : dropPicture(before.picture);
        const stored = whole(id);
        if (stored === undefined) throw new Error("a record that was put is not there");
        return { kind: "put", record: stored, freed };
      });
    },

    read: (ids) =>
      all<RecordRow>(
        `${selectRecords} JOIN json_each(?) AS wanted ON wanted.value = r.id ORDER BY wanted.key`,
        JSON.stringify(ids),
      ).map(recordOf),

    list: (after, limit) =>
      all<RecordRow>(
        `${selectRecords} WHERE r.id > ? ORDER BY r.id LIMIT ?`,
        ...[after ?? "", limit],
      ).map(recordOf),

    newest: (limit) =>
      all<RecordRow>(`${selectRecords} ORDER BY r.seq DESC LIMIT ?`, limit).map(recordOf),

    update: (id, changes, now) =>
      change(() => {
        const before = whole(id);
        if (before === undefined) return null;
        const next = changed(before, changes);
        const { seq } = first(all<{ seq: number }>("SELECT seq FROM records WHERE id = ?", id)) ?? {
          seq: 0,
        };
        run(
          "UPDATE records SET source = ?, title = ?, text = ?, tags = ?, metadata = ?, updated_at = ? WHERE seq = ?",
          ...[next.source, next.title, next.text],
          ...[JSON.stringify(next.tags), JSON.stringify(next.metadata), now, seq],
        );
        writeWords(seq, next);
        return { ...next, updatedAt: now };
      }),

    remove: (id) =>
      change(() => {
        const row = first(all<RecordRow>(`${selectRecords} WHERE r.id = ?`, id));
        if (row === undefined) return null;
        const freed = removeRow(row);
        forgetModelIfEmpty();
        return { imageId: row.image_id, freed: freed !== null };
      }),

    clear: (most) =>
      change(() => {
        const rows = all<RecordRow>("SELECT seq, picture FROM records ORDER BY seq LIMIT ?", most);
        const freed = rows.map(removeRow).filter((imageId) => imageId !== null);
        forgetModelIfEmpty();
        const left = sizeOf("records");
        // Whoever takes the name again begins anew, and keeps no files unasked.
        if (left === 0) run("DELETE FROM settings");
        return { removed: rows.length, left, freed };
      }),

    rank(request, meansFor) {
      const dim = madeBy()?.dim ?? 0;
      return (
        refusal(request) ?? { kind: "ranked", records: ranking.ranked(request, dim, meansFor) }
      );
    },
    refusal,
    filtered: ranking.filtered,
    meansOf: (keys) => someMeans({ all }, madeBy()?.dim ?? 0, keys),
    dropMeans() {
      means = undefined;
    },
    madeBy,
    holds,
  };
}

const first = <Row>(rows: readonly Row[]): Row | undefined => rows[0];

/** A caption, and of the tags those with words that it has not: no word is to count twice. */
function saidByModels(caption: string, tags: readonly string[]): string {
  const said = new Set(caption.toLowerCase().match(/[\p{L}\p{N}]+/gu));
  return [caption, ...tags.filter((tag) => tag.split(" ").some((word) => !said.has(word)))].join(
    " , ",
  );
}

/** Null takes away, what is left out stays. */
function changed(record: StoredRecord, changes: ImageUpdate): StoredRecord {
  const { source, title, text, tags, metadata } = changes;
  return {
    ...record,
    ...(source === undefined ? {} : { source }),
    ...(title === undefined ? {} : { title }),
    ...(text === undefined ? {} : { text }),
    ...(tags === undefined ? {} : { tags: tags ?? [] }),
    ...(metadata === undefined ? {} : { metadata: metadata ?? {} }),
  };
}
