// How far a figure may be off by the chance of which items were in the set. Items count as independent.

export interface Estimate {
  readonly value: number;
  readonly standardError: number;
}

/** Of a mean: deviation / sqrt(n). For a rate of zeros and ones that is the binomial sqrt(p (1 - p) / n). */
export function meanOf(values: readonly number[]): Estimate {
  const count = values.length;
  const value = values.reduce((sum, each) => sum + each, 0) / count;
  const variance = values.reduce((sum, each) => sum + (each - value) ** 2, 0) / count;
  return { value, standardError: Math.sqrt(variance / count) };
}

export const bootstrapSeed = 1;
export const bootstrapDraws = 1000;

/**
 * The deviation of what `measure` gives over sets of as many items drawn with replacement. It is handed the
 * drawn items' places; the same places every time for the same number of items.
 */
export function bootstrap(
  items: number,
  measure: (places: Uint32Array) => readonly number[],
): readonly number[] {
  const next = mulberry32(bootstrapSeed);
  const places = new Uint32Array(items);
  const draws = Array.from({ length: bootstrapDraws }, () => {
    for (let at = 0; at < items; at += 1) places[at] = Math.floor(next() * items);
    return measure(places);
  });
  const figures = draws[0]?.length ?? 0;
  return Array.from({ length: figures }, (_, figure) => {
    const values = draws.map((draw) => draw[figure] ?? NaN);
    return meanOf(values).standardError * Math.sqrt(bootstrapDraws);
  });
}

/** Numbers of [0, 1) from a 32-bit state: small, and good enough to draw places with. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
