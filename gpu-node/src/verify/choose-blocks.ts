// Which blocks of a graph are measured when not all are: of every kind that repeats (layers.0, layers.1, ...)
// a few, spread from the first to the last; what stands alone (embeddings, norms, heads) always.

/** "all", or how many of each kind that repeats. */
export type BlockChoice = number | "all";

const kindOf = (name: string): string | undefined => /^(.*)\.\d+$/.exec(name)?.[1];

export function chooseBlocks(names: readonly string[], choice: BlockChoice): ReadonlySet<string> {
  if (choice === "all") return new Set(names);
  const kinds = Map.groupBy(names, kindOf);
  const chosen = [...kinds].flatMap(([kind, members]) => {
    if (kind === undefined || members.length <= choice) return members;
    const step = (members.length - 1) / Math.max(1, choice - 1);
    return Array.from({ length: choice }, (_, at) => members[Math.round(at * step)] ?? "");
  });
  return new Set(chosen);
}
