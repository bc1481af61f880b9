// Several rankings made into one by their ranks alone, so that scores of different kinds need no common
// scale: reciprocal rank fusion (Cormack, Clarke, Buettcher 2009), with the paper's constant.

const rankConstant = 60;

/** The sum of 1 / (60 + rank) over the rankings that hold an item; each holds it once at most. */
export function fusedScores<Item>(rankings: readonly (readonly Item[])[]): Map<Item, number> {
  const scores = new Map<Item, number>();
  for (const ranking of rankings) {
    for (const [index, item] of ranking.entries()) {
      scores.set(item, (scores.get(item) ?? 0) + 1 / (rankConstant + index + 1));
    }
  }
  return scores;
}
