// How long calls of one kind take: a histogram of logarithmic buckets that forgets (DDSketch's buckets,
// Masson et al. 2019: any quantile within a relative error; forward decay, Cormode et al. 2009).

export interface LatencyDigest {
  add(ms: number, now: number): void;
  /** Undefined before anything is known. Within 3 % of the true one. */
  quantile(q: number): number | undefined;
  /** How many were added, the older ones counting less. */
  weight(now: number): number;
}

const growth = 1.05;
const logGrowth = Math.log(growth);
const maxMs = 3_600_000;
const buckets = Math.ceil(Math.log(maxMs) / logGrowth) + 1;
/** Weights grow with time; they are scaled down before they lose precision. */
const maxScale = 2 ** 40;

export function createLatencyDigest(halfLifeMs: number): LatencyDigest {
  const counts = new Float64Array(buckets);
  let total = 0;
  let epoch: number | undefined;

  const scaleAt = (now: number): number => {
    epoch ??= now;
    const scale = 2 ** ((now - epoch) / halfLifeMs);
    if (scale < maxScale) return scale;
    for (let at = 0; at < buckets; at++) counts[at] = (counts[at] ?? 0) / scale;
    total /= scale;
    epoch = now;
    return 1;
  };

  return {
    add(ms, now) {
      const scale = scaleAt(now);
      const at = Math.min(
        buckets - 1,
        Math.max(0, Math.ceil(Math.log(Math.max(ms, 1)) / logGrowth)),
      );
      counts[at] = (counts[at] ?? 0) + scale;
      total += scale;
    },
    quantile(q) {
      if (total === 0) return undefined;
      let below = 0;
      for (let at = 0; at < buckets; at++) {
        below += counts[at] ?? 0;
        // The middle of the bucket whose upper edge is growth^at.
        if (below >= q * total && below > 0) return growth ** (at - 0.5);
      }
      return maxMs;
    },
    weight: (now) => total / scaleAt(now),
  };
}
