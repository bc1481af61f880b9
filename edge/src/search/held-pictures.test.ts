import { expect, test } from "vitest";
import { heldPictures } from "./held-pictures.ts";

const imageId = `img_${"a".repeat(64)}`;
const other = `img_${"b".repeat(64)}`;
const [ada, bob] = ["t:ada", "t:bob"] as const;

/** R2 that lists two names at a time, KV, and the purges. */
function stores(names: readonly string[], resultNames: readonly string[]) {
  const [objects, results] = [new Set(names), new Set(resultNames)];
  const purged: unknown[] = [];
  const unmarked: unknown[] = [];
  const held = heldPictures({
    store: {
      put: async (key) => void objects.add(key),
      delete: async (keys) => keys.forEach((key) => objects.delete(key)),
      async list({ prefix, cursor = "" }) {
        const found = [...objects]
          .toSorted()
          .filter((key) => key.startsWith(prefix) && key > cursor);
        const page = found.slice(0, 2);
        const last = found.length > 2 ? page.at(-1) : undefined;
        return {
          objects: page.map((key) => ({ key })),
          ...(last === undefined ? {} : { cursor: last }),
        };
      },
    },
    results: {
      list: async ({ prefix }) => ({
        keys: [...results].filter((name) => name.startsWith(prefix)).map((name) => ({ name })),
      }),
      delete: async (name) => void results.delete(name),
    },
    purges: { add: async (scope) => purged.push(scope) },
    marks: { forget: async (own, id) => void unmarked.push([own, id]) },
  });
  return { held, objects, results, purged, unmarked };
}

test("the file that a namespace keeps goes with its mark, the thumbnail with the last of them", async () => {
  const original = (namespace: string) => `originals/${ada}/${namespace}/${imageId}`;
  const thumbnails = [`thumbnails/${ada}/${imageId}`, `thumbnails/${bob}/${imageId}`];
  const { held, objects } = stores([original("one"), original("two"), ...thumbnails], []);
  for (const namespace of ["one", "two"]) await held.hold(ada, imageId, namespace);
  await held.release(ada, imageId, "one");
  expect([...objects]).toEqual([original("two"), ...thumbnails, `held/${ada}/${imageId}/two`]);
  await held.release(ada, imageId, "two");
  expect([...objects]).toEqual([`thumbnails/${bob}/${imageId}`]);
});

test("forgetting the files leaves the marks, and what other pictures and tenants have", async () => {
  const kept = [`thumbnails/${bob}/${imageId}`, `originals/${ada}/one/${other}`];
  const own = ["one", "two", "three"].map(
    (namespace) => `originals/${ada}/${namespace}/${imageId}`,
  );
  const { held, objects } = stores([...own, `thumbnails/${ada}/${imageId}`, ...kept], []);
  const namespaces = ["one", "two", "three"];
  for (const namespace of namespaces) await held.hold(ada, imageId, namespace);
  await held.forgetFiles(ada, imageId);
  const marks = namespaces.map((namespace) => `held/${ada}/${imageId}/${namespace}`);
  expect([...objects].toSorted()).toEqual([...kept, ...marks].toSorted());
});

test("a picture goes with the last namespace that holds it, and nothing else goes", async () => {
  const own = [224, 48, 364].map((size) => `pixels/${ada}/${imageId}/${size}`);
  const kept = [
    `pixels/${bob}/${imageId}/224`,
    `pixels/${ada}/${other}/224`,
    `known/${ada}/${other}`,
  ];
  const { held, objects, results, purged, unmarked } = stores(
    [...own, `known/${ada}/${imageId}`, ...kept],
    [`results/${ada}/${imageId}/r/1`, `results/${ada}/${other}/r/1`],
  );
  for (const namespace of ["one", "two", "three"]) await held.hold(ada, imageId, namespace);
  await held.hold(bob, imageId, "one");
  expect(await held.release(ada, imageId, "one")).toBe(false);
  expect(await held.release(ada, imageId, "three")).toBe(false);
  expect([...objects]).toEqual(expect.arrayContaining(own));
  expect(purged).toEqual([]);
  expect(await held.release(ada, imageId, "two")).toBe(true);
  expect([...objects].toSorted()).toEqual([`held/${bob}/${imageId}/one`, ...kept].toSorted());
  expect([...results]).toEqual([`results/${ada}/${other}/r/1`]);
  expect(unmarked).toEqual([[ada, imageId]]);
  expect(purged).toEqual([{ partition: ada, imageId, modelRevision: "deleted" }]);
});
