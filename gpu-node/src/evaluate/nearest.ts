// The k best of a row of scores. Of equal scores the one that stands first goes first.

export interface Nearest {
  /** Best first. */
  readonly places: Uint32Array;
  readonly scores: Float32Array;
}

export function nearestOf(scores: Float32Array, k: number): Nearest {
  const order = Uint32Array.from(scores.keys());
  order.sort((a, b) => scores[b]! - scores[a]! || a - b);
  const places = order.slice(0, k);
  return { places, scores: Float32Array.from(places, (place) => scores[place]!) };
}
