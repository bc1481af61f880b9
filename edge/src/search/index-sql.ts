// The tables of one namespace's index, and rows in and out of them. SQLite as a Durable Object has it: at
// most 100 values in a statement, blobs as ArrayBuffer.
import type { AutoTag, MetadataValue } from "@blip2-edge/shared/contracts/images";
import type { CodedVectors } from "./quantise.ts";
import type { StoredRecord } from "./image-index.ts";

export type IndexValue = string | number | null | Uint8Array;

export interface IndexSql {
  exec(query: string, ...values: IndexValue[]): { toArray(): unknown[] };
}

export function statements(sql: IndexSql) {
  const all = <Row>(query: string, ...values: IndexValue[]): Row[] =>
    sql.exec(query, ...values).toArray() as Row[];
  return {
    all,
    run: (query: string, ...values: IndexValue[]): void => void all(query, ...values),
    /** The number `n` of the first row; 0 without one. */
    count: (query: string, ...values: IndexValue[]): number =>
      all<{ n: number | null }>(query, ...values)[0]?.n ?? 0,
  };
}

export function createTables(sql: IndexSql): void {
  for (const statement of [
    `CREATE TABLE IF NOT EXISTS made_by (
       one INTEGER PRIMARY KEY CHECK (one = 1), model TEXT NOT NULL, model_revision TEXT NOT NULL,
       dim INTEGER NOT NULL
     ) STRICT`,
    // A picture's vectors stand here once, however many records have it.
    `CREATE TABLE IF NOT EXISTS pictures (
       key INTEGER PRIMARY KEY, image_id TEXT UNIQUE NOT NULL, mean_scale REAL NOT NULL, mean BLOB NOT NULL
     ) STRICT`,
    // Which files are kept of a picture, and since when.
    `CREATE TABLE IF NOT EXISTS kept (
       picture INTEGER PRIMARY KEY, thumbnail_at INTEGER, original_at INTEGER
     ) STRICT`,
    `CREATE TABLE IF NOT EXISTS settings (one INTEGER PRIMARY KEY CHECK (one = 1), keep_originals INTEGER NOT NULL) STRICT`,
    // Apart from the averages, so that reading all of those reads nothing else.
    `CREATE TABLE IF NOT EXISTS vectors (key INTEGER PRIMARY KEY, scales BLOB NOT NULL, codes BLOB NOT NULL) STRICT`,
    // Copies of the averages, many in a row (mean-blocks.ts).
    `CREATE TABLE IF NOT EXISTS mean_blocks (
       block INTEGER PRIMARY KEY, keys BLOB NOT NULL, scales BLOB NOT NULL, codes BLOB NOT NULL
     ) STRICT`,
    `CREATE TABLE IF NOT EXISTS records (
       seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, picture INTEGER NOT NULL, exact INTEGER NOT NULL,
       source TEXT, title TEXT, text TEXT, caption TEXT, tags TEXT NOT NULL, metadata TEXT NOT NULL,
       created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, auto_tags TEXT NOT NULL DEFAULT '[]'
     ) STRICT`,
    `CREATE INDEX IF NOT EXISTS records_by_picture ON records (picture)`,
    // What filters read: metadata by its fields, tags by names that no field can have.
    `CREATE TABLE IF NOT EXISTS attributes (seq INTEGER NOT NULL, name TEXT NOT NULL, value ANY NOT NULL) STRICT`,
    `CREATE INDEX IF NOT EXISTS attributes_by_name ON attributes (name, value)`,
    `CREATE INDEX IF NOT EXISTS attributes_by_record ON attributes (seq)`,
    `CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
       title, text, tags, caption, tokenize = 'unicode61 remove_diacritics 2')`,
    // What is deleted is taken out of the index of words, not only hidden in it.
    `INSERT INTO words (words, rank) VALUES ('secure-delete', 1)`,
  ]) {
    sql.exec(statement).toArray();
  }
  const columns = sql.exec("PRAGMA table_info(records)").toArray() as { readonly name: string }[];
  // An index that was made before there were any.
  if (!columns.some(({ name }) => name === "auto_tags")) {
    sql.exec("ALTER TABLE records ADD COLUMN auto_tags TEXT NOT NULL DEFAULT '[]'").toArray();
  }
}

export const tagName = "";
export const autoTagName = "#";

export interface RecordRow {
  readonly seq: number;
  readonly id: string;
  readonly picture: number;
  readonly image_id: string;
  readonly exact: number;
  readonly source: string | null;
  readonly title: string | null;
  readonly text: string | null;
  readonly caption: string | null;
  readonly tags: string;
  readonly metadata: string;
  readonly auto_tags: string;
  readonly created_at: number;
  readonly updated_at: number;
  readonly duplicate_of: string | null;
  readonly thumbnail_at: number | null;
  readonly original_at: number | null;
}

/** Begins a query for whole records, `r`. */
export const selectRecords = `SELECT r.*, p.image_id, k.thumbnail_at, k.original_at, (
    SELECT o.id FROM records o WHERE o.picture = r.picture AND o.seq <> r.seq ORDER BY o.seq LIMIT 1
  ) AS duplicate_of FROM records r JOIN pictures p ON p.key = r.picture
  LEFT JOIN kept k ON k.picture = r.picture`;

export const recordOf = (row: RecordRow): StoredRecord => ({
  id: row.id,
  imageId: row.image_id,
  exact: row.exact === 1,
  source: row.source,
  title: row.title,
  text: row.text,
  caption: row.caption,
  tags: JSON.parse(row.tags) as string[],
  metadata: JSON.parse(row.metadata) as Record<string, MetadataValue>,
  autoTags: JSON.parse(row.auto_tags) as AutoTag[],
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  duplicateOf: row.duplicate_of,
  thumbnailAt: row.thumbnail_at,
  originalAt: row.original_at,
});

/** Texts and truths side by side in one column, never equal to each other; numbers as they are. */
export const attributeValue = (value: MetadataValue): string | number =>
  typeof value === "number" ? value : typeof value === "string" ? `s${value}` : `b${value}`;

export const bytesOf = (array: Int8Array | Uint16Array | Float32Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Of its own, so that it is aligned whatever lies around a blob. A Durable Object gives each blob its own anyway. */
export const bufferOf = (blob: unknown): ArrayBuffer =>
  blob instanceof ArrayBuffer ? blob : (blob as Uint8Array<ArrayBuffer>).slice().buffer;
export const codesOf = (blob: unknown): Int8Array => new Int8Array(bufferOf(blob));

export function vectorsOf(
  { scales, codes }: { readonly scales: unknown; readonly codes: unknown },
  dim: number,
): CodedVectors {
  const [rowScales, rowCodes] = [new Float32Array(bufferOf(scales)), codesOf(codes)];
  return { rows: rowScales.length, dim, scales: rowScales, codes: rowCodes };
}
