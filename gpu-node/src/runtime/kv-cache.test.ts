import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CacheType } from "../artifact/precision.ts";
import { floatTensor, halfTensor } from "../tensor/tensor.ts";
import { createKvCache } from "./kv-cache.ts";

const names = ["a", "b"];
const [heads, headDim] = [2, 3];

type Change =
  | { readonly kind: "add"; readonly lengths: readonly number[]; readonly spare: number }
  | { readonly kind: "extend"; readonly count: number }
  | { readonly kind: "select"; readonly picks: readonly number[] }
  | { readonly kind: "drop"; readonly row: number };

const changes: fc.Arbitrary<Change[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant("add" as const),
      lengths: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 }),
      spare: fc.integer({ min: 0, max: 3 }),
    }),
    fc.record({ kind: fc.constant("extend" as const), count: fc.integer({ min: 1, max: 20 }) }),
    fc.record({
      kind: fc.constant("select" as const),
      picks: fc.array(fc.nat({ max: 50 }), { maxLength: 9 }),
    }),
    fc.record({ kind: fc.constant("drop" as const), row: fc.nat({ max: 50 }) }),
  ),
  { maxLength: 14 },
);

/** Numbers that tell where they stand: no two near each other are alike, and halves hold them all. */
function numbered(type: CacheType) {
  let next = 1;
  return (dims: readonly number[]) => {
    const length = dims.reduce((product, size) => product * size, 1);
    const numbers = Array.from({ length }, () => next++ % 2039);
    return type === "float32"
      ? floatTensor(Float32Array.from(numbers), dims)
      : halfTensor(Float16Array.from(numbers), dims);
  };
}

describe.each(["float32", "float16"] as const)("keys and values of a batch in %s", (type) => {
  test("after any changes every row holds what it was given, in its order", () => {
    fc.assert(
      fc.property(changes, (list) => {
        const make = numbered(type);
        const cache = createKvCache({ names, heads, headDim, type });
        /** By row, then name: [heads][length * headDim]. */
        let model: Record<string, number[][]>[] = [];
        const slice = (
          data: Float32Array | Float16Array,
          room: number,
          row: number,
          head: number,
          count: number,
        ) => {
          const start = (row * heads + head) * room * headDim;
          return [...data.subarray(start, start + count * headDim)];
        };
        for (const change of list) {
          const rows = model.length;
          if (change.kind === "add") {
            const room = Math.max(...change.lengths) + change.spare;
            const made = Object.fromEntries(
              names.map((name) => [name, make([change.lengths.length, heads, room, headDim])]),
            );
            cache.addRows(change.lengths, (name) => made[name]!);
            model = [
              ...model,
              ...change.lengths.map((length, row) =>
                Object.fromEntries(
                  names.map((name) => [
                    name,
                    Array.from({ length: heads }, (_, head) =>
                      slice(made[name]!.data, room, row, head, length),
                    ),
                  ]),
                ),
              ),
            ];
          } else if (rows === 0) {
            continue;
          } else if (change.kind === "extend") {
            const { count } = change;
            const made = Object.fromEntries(
              names.map((name) => [name, make([rows, heads, count, headDim])]),
            );
            cache.extend(count, (name) => made[name]!);
            model = model.map((held, row) =>
              Object.fromEntries(
                names.map((name) => [
                  name,
                  held[name]!.map((numbers, head) => [
                    ...numbers,
                    ...slice(made[name]!.data, count, row, head, count),
                  ]),
                ]),
              ),
            );
          } else {
            const last = rows - 1;
            const picks =
              change.kind === "select"
                ? change.picks.map((pick) => pick % rows)
                : model // the last one comes into the place of the one that leaves
                    .map((_, row) => (row === change.row % rows ? last : row))
                    .slice(0, last);
            cache.select(picks);
            model = picks.map((pick) => model[pick]!);
          }
          expect(cache.rows).toBe(model.length);
          const tensors = cache.tensors();
          for (const name of names) {
            const { data, dims } = tensors[name]!;
            const [, , room = 0] = dims;
            if (model.length > 0) expect(dims).toEqual([model.length, heads, room, headDim]);
            expect(room % 16).toBe(0);
            const held = model.map((_, row) =>
              Array.from({ length: heads }, (_each, head) =>
                slice(data, room, row, head, cache.lengths[row] ?? 0),
              ),
            );
            expect(held).toEqual(model.map((row) => row[name]));
          }
        }
      }),
    );
  });

  test("memory follows what is held: it is freed with the last row and shrinks with the longest", () => {
    const make = numbered(type);
    const cache = createKvCache({ names, heads, headDim, type });
    const add = (lengths: readonly number[]) => {
      const made = make([lengths.length, heads, Math.max(...lengths), headDim]);
      cache.addRows(lengths, () => made);
    };
    add([200, 10, 10, 10]);
    const wide = cache.bytes;
    cache.select([3, 1, 2]);
    expect(cache.bytes).toBeLessThan(wide / 4);
    cache.select([]);
    expect(cache.bytes).toBe(0);
    for (let round = 0; round < 50; round += 1) {
      add([30, 20]);
      cache.select([1, 0, 1].slice(0, 1 + (round % 2)));
      cache.select([]);
    }
    expect(cache.bytes).toBe(0);
  });

  test("however rows come, sixteen take the room of sixteen", () => {
    const make = numbered(type);
    const bytesOf = (parts: readonly number[]): number => {
      const cache = createKvCache({ names, heads, headDim, type });
      for (const count of parts) {
        const made = make([count, heads, 16, headDim]);
        cache.addRows(
          Array.from({ length: count }, () => 16),
          () => made,
        );
      }
      return cache.bytes;
    };
    const whole = bytesOf([16]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 16 }), (cuts) => {
        const parts: number[] = [];
        for (const cut of [...cuts, 16]) {
          const left = 16 - parts.reduce((sum, each) => sum + each, 0);
          if (left > 0) parts.push(Math.min(cut, left));
        }
        expect(bytesOf(parts)).toBe(whole);
      }),
    );
  });

  test("numbers of another kind are refused", () => {
    const cache = createKvCache({ names, heads, headDim, type });
    const other = numbered(type === "float32" ? "float16" : "float32");
    expect(() => cache.addRows([1], () => other([1, heads, 1, headDim]))).toThrow(/not float/);
  });

  test("a row that is not there is a mistake", () => {
    const cache = createKvCache({ names, heads, headDim, type });
    expect(() => cache.select([0])).toThrow(RangeError);
  });
});
