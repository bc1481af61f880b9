// One averaged vector for each picture of a namespace, in memory and one after the other, so that a scan of
// them all runs at the speed of memory. It is a copy: what is true stands in the store's table.
import { dot } from "./similarity.ts";

export interface Candidate {
  readonly key: number;
  readonly score: number;
}

export interface MeanTable {
  readonly size: number;
  set(key: number, scale: number, codes: Int8Array): void;
  /** Many at once, none of which is there; `codes` one after the other. */
  append(keys: Float64Array, scales: Float32Array, codes: Int8Array): void;
  delete(key: number): void;
  /** The best by cosine, the best first; among equals the smaller key. `allowed` undefined: all. */
  nearest(query: Float32Array, count: number, allowed?: ReadonlySet<number>): Candidate[];
  /** Of those of the keys that there are, in their order. */
  scores(query: Float32Array, keys: Iterable<number>): Candidate[];
}

const firstRoom = 1024;

export function meanTable(dim: number): MeanTable {
  let codes = new Int8Array(firstRoom * dim);
  let scales = new Float32Array(firstRoom);
  let keys = new Float64Array(firstRoom);
  let size = 0;
  const placeOf = new Map<number, number>();

  function makeRoom(wanted: number): void {
    let room = scales.length;
    while (room < wanted) room *= 2;
    if (room === scales.length) return;
    const more = <Values extends Int8Array | Float32Array | Float64Array>(
      next: Values,
      old: Values,
    ): Values => {
      next.set(old);
      return next;
    };
    codes = more(new Int8Array(room * dim), codes);
    scales = more(new Float32Array(room), scales);
    keys = more(new Float64Array(room), keys);
  }

  const scoreAt = (query: Float32Array, place: number): number =>
    Math.fround(dot(query, 0, codes, place * dim, dim) * scales[place]!);

  return {
    get size() {
      return size;
    },
    set(key, scale, values) {
      if (values.length !== dim) throw new RangeError(`${values.length} numbers, not ${dim}`);
      let place = placeOf.get(key);
      if (place === undefined) {
        makeRoom(size + 1);
        place = size++;
        placeOf.set(key, place);
      }
      keys[place] = key;
      scales[place] = scale;
      codes.set(values, place * dim);
    },
    append(newKeys, newScales, newCodes) {
      const count = newKeys.length;
      if (newCodes.length !== count * dim || newScales.length !== count) {
        throw new RangeError(`${newCodes.length} numbers for ${count} vectors of ${dim}`);
      }
      makeRoom(size + count);
      keys.set(newKeys, size);
      scales.set(newScales, size);
      codes.set(newCodes, size * dim);
      for (let at = 0; at < count; at++) placeOf.set(newKeys[at]!, size + at);
      size += count;
    },
    delete(key) {
      const place = placeOf.get(key);
      if (place === undefined) return;
      // The last one moves into the gap.
      size -= 1;
      placeOf.delete(key);
      if (place === size) return;
      const moved = keys[size]!;
      keys[place] = moved;
      scales[place] = scales[size]!;
      codes.copyWithin(place * dim, size * dim, (size + 1) * dim);
      placeOf.set(moved, place);
    },
    nearest(query, count, allowed) {
      const best = bestOf(count);
      if (allowed === undefined) {
        for (let place = 0; place < size; place++) best.offer(keys[place]!, scoreAt(query, place));
      } else {
        for (const key of allowed) {
          const place = placeOf.get(key);
          if (place !== undefined) best.offer(key, scoreAt(query, place));
        }
      }
      return best.found();
    },
    scores: (query, wanted) =>
      [...wanted].flatMap((key) => {
        const place = placeOf.get(key);
        return place === undefined ? [] : [{ key, score: scoreAt(query, place) }];
      }),
  };
}

/** Keeps the best of many: twice as many at the most, of which the worse half goes whenever there are so many. */
function bestOf(count: number) {
  let kept: Candidate[] = [];
  let least = -Infinity;
  const cut = (): Candidate[] => {
    kept = kept.sort((a, b) => b.score - a.score || a.key - b.key).slice(0, count);
    if (kept.length === count) least = kept.at(-1)?.score ?? -Infinity;
    return kept;
  };
  return {
    offer(key: number, score: number): void {
      // Of equals the smaller key stays, so an equal one is kept until the cut.
      if (score < least) return;
      if (kept.push({ key, score }) >= 2 * count) cut();
    },
    found: cut,
  };
}
