// One catalogue of many nodes: for each name one revision, the one that most of the nodes hold, by weight.
// So a rollout switches over once more nodes hold the new revision than the old one.
import type { Catalog, CatalogModel } from "@blip2-edge/shared/wire/protocol";

export interface CatalogOfNode {
  readonly weight: number;
  readonly models: readonly CatalogModel[];
}

/** Names stand in the order of the first node that has them. `before`: at a tie its revision stays. */
export function mergeCatalogs(
  nodes: readonly CatalogOfNode[],
  before: Catalog | undefined,
): Catalog {
  const held = new Map<string, Map<string, { entry: CatalogModel; weight: number }>>();
  for (const { weight, models } of nodes) {
    for (const entry of models) {
      const revisions = held.get(entry.model) ?? new Map<string, never>();
      held.set(entry.model, revisions);
      const known = revisions.get(entry.model_revision);
      revisions.set(entry.model_revision, {
        entry: known === undefined ? entry : calibratedBy(known.entry, entry),
        weight: (known?.weight ?? 0) + weight,
      });
    }
  }
  const models = [...held].flatMap(([name, revisions]) => {
    const current = before?.models.find(({ model }) => model === name)?.model_revision;
    const [best] = [...revisions.values()].toSorted(
      (a, b) =>
        b.weight - a.weight ||
        Number(b.entry.model_revision === current) - Number(a.entry.model_revision === current) ||
        (a.entry.model_revision < b.entry.model_revision ? -1 : 1),
    );
    return best === undefined ? [] : [best.entry];
  });
  return { models };
}

/** A node that has no calibration of a revision says nothing against that of another node. */
const calibratedBy = (first: CatalogModel, other: CatalogModel): CatalogModel =>
  first.calibration === undefined && other.calibration !== undefined
    ? { ...first, calibration: other.calibration }
    : first;
