// The averages of a thousand pictures side by side in one row, so that an index that wakes reads a hundred rows
// where a hundred thousand stand. Blocks are a copy: what is true stands in `pictures`, a block goes with the first
// change among its pictures, in the same transaction, and is made again when the index next wakes.
import { bytesOf, codesOf, bufferOf, type IndexValue } from "./index-sql.ts";
import { meanTable, type MeanTable } from "./mean-table.ts";

export interface BlockTables {
  readonly all: <Row>(query: string, ...values: IndexValue[]) => Row[];
}

/** Keys of pictures of one block: b * 1024 and the 1023 after it. */
const blockKeys = 1024;

/** To be called for each picture that comes or goes. */
export function forgetBlock({ all }: BlockTables, key: number): void {
  all("DELETE FROM mean_blocks WHERE block = ?", Math.floor(key / blockKeys));
}

/** The averages of all pictures. Keeps as blocks those of the pictures that lie before the last block. */
export function loadMeans({ all }: BlockTables, dim: number): MeanTable {
  const table = meanTable(dim);
  const [{ last } = { last: null }] = all<{ last: number | null }>(
    "SELECT max(key) AS last FROM pictures",
  );
  const lastBlock = Math.floor((last ?? -1) / blockKeys);
  for (let block = 0; block <= lastBlock; block += 1) {
    const [kept] = all<{ keys: unknown; scales: unknown; codes: unknown }>(
      "SELECT keys, scales, codes FROM mean_blocks WHERE block = ?",
      block,
    );
    if (kept !== undefined) {
      const offsets = new Uint16Array(bufferOf(kept.keys));
      const keys = Float64Array.from(offsets, (offset) => block * blockKeys + offset);
      table.append(keys, new Float32Array(bufferOf(kept.scales)), codesOf(kept.codes));
      continue;
    }
    const rows = all<{ key: number; mean_scale: number; mean: unknown }>(
      "SELECT key, mean_scale, mean FROM pictures WHERE key >= ? AND key < ? ORDER BY key",
      ...[block * blockKeys, (block + 1) * blockKeys],
    );
    const codes = new Int8Array(rows.length * dim);
    for (const [at, { mean }] of rows.entries()) codes.set(codesOf(mean), at * dim);
    const keys = Float64Array.from(rows, ({ key }) => key);
    const scales = Float32Array.from(rows, ({ mean_scale: scale }) => scale);
    table.append(keys, scales, codes);
    // The last one still changes with every picture that is put.
    if (block === lastBlock || rows.length === 0) continue;
    const offsets = Uint16Array.from(keys, (key) => key - block * blockKeys);
    all(
      "INSERT INTO mean_blocks (block, keys, scales, codes) VALUES (?, ?, ?, ?)",
      ...[block, bytesOf(offsets), bytesOf(scales), bytesOf(codes)],
    );
  }
  return table;
}

/** Rows that are read at a time. */
const pageRows = 2000;

/** Of these pictures, as many of them as there are; without blocks, since they are few and lie anywhere. */
export function someMeans({ all }: BlockTables, dim: number, keys: Iterable<number>): MeanTable {
  const table = meanTable(dim);
  const wanted = [...new Set(keys)];
  for (let from = 0; from < wanted.length; from += pageRows) {
    const rows = all<{ key: number; mean_scale: number; mean: unknown }>(
      "SELECT key, mean_scale, mean FROM pictures WHERE key IN (SELECT value FROM json_each(?))",
      JSON.stringify(wanted.slice(from, from + pageRows)),
    );
    for (const { key, mean_scale: scale, mean } of rows) table.set(key, scale, codesOf(mean));
  }
  return table;
}
