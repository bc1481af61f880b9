// T5's relative positions: near ones have a bucket each, far ones share buckets that grow with the logarithm
// of the distance. The reference computes in float32, and so does this, or borders would move.
// Source: transformers 5.18 models/t5/modeling_t5.py, T5Attention._relative_position_bucket.

export interface BucketShape {
  readonly buckets: number;
  readonly maxDistance: number;
  /** Later keys have buckets of their own (encoder); else all of them are in bucket 0 (decoder). */
  readonly bidirectional: boolean;
}

/** Bucket of `relative`, the place of the key less the place of the query. */
export function relativeBucket(relative: number, shape: BucketShape): number {
  const { maxDistance, bidirectional } = shape;
  const buckets = bidirectional ? Math.floor(shape.buckets / 2) : shape.buckets;
  const base = bidirectional && relative > 0 ? buckets : 0;
  const distance = bidirectional ? Math.abs(relative) : Math.max(-relative, 0);
  const exact = Math.floor(buckets / 2);
  if (distance < exact) return base + distance;
  // The reference divides by a Python float, which its float32 tensor turns into float32.
  const logarithm = Math.fround(Math.log(Math.fround(distance / exact)));
  const share = Math.fround(logarithm / Math.fround(Math.log(maxDistance / exact)));
  const step = Math.trunc(Math.fround(share * (buckets - exact)));
  return base + Math.min(buckets - 1, exact + step);
}

/** Buckets of -maxDistance to maxDistance; what is farther is in the bucket of the nearer end. */
export const relativeBuckets = (shape: BucketShape): number[] =>
  Array.from({ length: 2 * shape.maxDistance + 1 }, (_, at) =>
    relativeBucket(at - shape.maxDistance, shape),
  );
