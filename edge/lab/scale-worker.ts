// The Worker for `npm run lab:search-scale`: the product itself, and on the object of a namespace two calls more, which
// fill it without sending a hundred thousand pictures and say what it weighs. What searches run is the product's.
import { NamespaceIndex as ProductIndex } from "../src/search/namespace-index.ts";
import { normalised } from "../src/search/quantise.ts";

export { default, KeyMeter, NodeRegistry, WorkLease } from "../src/index.ts";

const [rows, dim, poolRows] = [32, 256, 2048];
const by = { model: "drawn", modelRevision: "0".repeat(16) };

/** Numbers of [0, 1), the same for the same seed (mulberry32). */
function drawer(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class NamespaceIndex extends ProductIndex {
  #pool: Float32Array | undefined;

  /** Puts the pictures from one number to another, each as a request would. */
  async fill(from: number, to: number): Promise<void> {
    const pool = (this.#pool ??= drawnPool());
    for (let at = from; at < to; at += 1) {
      const draw = drawer(at);
      // Pictures differ in which of the drawn vectors they have, which costs as much as drawing each.
      const vectors = new Float32Array(rows * dim);
      for (let row = 0; row < rows; row += 1) {
        const begin = Math.floor(draw() * poolRows) * dim;
        vectors.set(pool.subarray(begin, begin + dim), row * dim);
      }
      const record = {
        ...{ id: `p${at}`, imageId: `img_${at.toString(16).padStart(64, "0")}` as const },
        ...{ exact: true, source: null, title: `number ${at % 997}`, text: null, tags: [] },
        metadata: { decade: 1900 + 10 * (at % 10) },
        autoTags: [],
        caption: `a thing ${at % 61} and a thing ${at % 59} on a ground`,
      };
      const put = await this.put({ record, by, vectors, dim, now: at });
      if (put.kind !== "put") throw new Error(put.kind);
    }
  }

  bytes(): number {
    return this.ctx.storage.sql.databaseSize;
  }
}

function drawnPool(): Float32Array {
  const draw = drawer(5);
  return normalised(
    Float32Array.from({ length: poolRows * dim }, () => draw() - 0.5),
    dim,
  );
}
