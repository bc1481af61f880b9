// Random numbers that a seed repeats on every machine: xoshiro128** (Blackman and Vigna), its state filled
// by splitmix32. Not for secrets. One stream per returned sequence, so that nothing a neighbour draws
// moves another's numbers.

/** The next number, uniform in [0, 1), 53 bits. */
export type Random = () => number;

/** `seed` and `stream` are unsigned 32-bit numbers. */
export function createRandom(seed: number, stream: number): Random {
  const mix = splitmix32(splitmix32(seed)() ^ Math.imul(stream + 1, 0x9e3779b9));
  let [a, b, c, d] = [mix(), mix(), mix(), mix()];
  const next = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result;
  };
  return () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
}

/** A seed that nobody chose. */
export const entropySeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

function splitmix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}
