// One averaged vector for each picture of a namespace, in memory and one after the other, so that a scan of
// them all runs at the speed of memory. It is a copy: what is true stands in the store's table.

export interface Candidate {
  readonly key: number;
  readonly score: number;
}

export interface MeanTable {
  readonly size: number;
  set(key: number, scale: number, codes: Int8Array): void;
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

  function grow(): void {
    const more = <Values extends Int8Array | Float32Array | Float64Array>(
      make: new (length: number) => Values,
      old: Values,
    ): Values => {
      const next = new make(old.length * 2);
      next.set(old);
      return next;
    };
    codes = more(Int8Array, codes);
    scales = more(Float32Array, scales);
    keys = more(Float64Array, keys);
  }

  function scoreAt(query: Float32Array, place: number): number {
    let sum = 0;
    for (let at = 0, of = place * dim; at < dim; at++, of++) sum += query[at]! * codes[of]!;
    return sum * scales[place]!;
  }

  return {
    get size() {
      return size;
    },
    set(key, scale, values) {
      if (values.length !== dim) throw new RangeError(`${values.length} numbers, not ${dim}`);
      let place = placeOf.get(key);
      if (place === undefined) {
        if (size === scales.length) grow();
        place = size++;
        placeOf.set(key, place);
      }
      keys[place] = key;
      scales[place] = scale;
      codes.set(values, place * dim);
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
      const places =
        allowed === undefined ? undefined : [...allowed].flatMap((key) => placeOf.get(key) ?? []);
      const among = places?.length ?? size;
      const scores = new Float32Array(among);
      for (let at = 0; at < among; at++) scores[at] = scoreAt(query, places?.[at] ?? at);
      return best(scores, count, (at) => keys[places?.[at] ?? at]!);
    },
    scores: (query, wanted) =>
      [...wanted].flatMap((key) => {
        const place = placeOf.get(key);
        return place === undefined ? [] : [{ key, score: Math.fround(scoreAt(query, place)) }];
      }),
  };
}

/** Only what reaches the count-th best score is put in order. */
function best(scores: Float32Array, count: number, keyAt: (at: number) => number): Candidate[] {
  const least = scores.length > count ? (scores.toSorted()[scores.length - count] ?? 0) : -Infinity;
  const found: Candidate[] = [];
  for (let at = 0; at < scores.length; at++) {
    if (scores[at]! >= least) found.push({ key: keyAt(at), score: scores[at]! });
  }
  return found.sort((a, b) => b.score - a.score || a.key - b.key).slice(0, count);
}
