// Seeded draws: the same seed gives the same ten thousand requests on every machine.

export interface Random {
  /** In [0, below). */
  int(below: number): number;
  pick<T>(from: readonly T[]): T;
  bytes(length: number): Uint8Array;
  text(length: number): string;
}

/** mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number): number => Math.floor(next() * below);
  return {
    int,
    pick<T>(from: readonly T[]): T {
      if (from.length === 0) throw new RangeError("nothing to pick from");
      return from[int(from.length)] as T;
    },
    bytes: (length) => Uint8Array.from({ length }, () => int(256)),
    text: (length) => String.fromCharCode(...Array.from({ length }, () => 33 + int(94))),
  };
}
