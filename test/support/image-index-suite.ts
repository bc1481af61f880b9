// What every index of a namespace must do, whatever keeps it: the suite as a function, run on each of them.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import type { SearchFilter } from "@blip2-edge/shared/contracts/search";
import { describe, expect, test } from "vitest";
import type {
  ImageIndex,
  IndexRecord,
  KeptSince,
  RankRequest,
  RankOutcome,
} from "../../edge/src/search/image-index.ts";
import { normalised } from "../../edge/src/search/quantise.ts";
import { createRandom } from "../../gpu-node/nano/scenes/random.ts";

const dim = 16;
const rows = 4;
export const by = { model: "fake-itm", modelRevision: "0123456789abcdef" };
const empty = { records: 0, pictures: 0, by: null, keepOriginals: false };
export const imageIdOf = (of: number): ImageId => `img_${of.toString(16).padStart(64, "0")}`;

/** A picture's vectors: the same for the same number. */
export function vectorsOf(picture: number): Float32Array {
  const random = createRandom(77, picture);
  return normalised(
    Float32Array.from({ length: rows * dim }, () => 2 * random.next() - 1),
    dim,
  );
}
/** A text that means one picture: its first vector. */
export const textOf = (picture: number): Float32Array => vectorsOf(picture).slice(0, dim);

export const recordOf = (
  id: string,
  picture: number,
  more: Partial<IndexRecord> = {},
): IndexRecord => ({
  id,
  imageId: imageIdOf(picture),
  exact: true,
  ...{ source: null, title: null, text: null, tags: [], metadata: {}, caption: null, autoTags: [] },
  ...more,
});

export const put = (index: ImageIndex, record: IndexRecord, picture: number, now = 1) =>
  index.put({ record, by, vectors: vectorsOf(picture), dim, now });

export function testImageIndex(name: string, open: () => Promise<ImageIndex>): void {
  const ask = async (index: ImageIndex, request: Partial<RankRequest>) =>
    idsOf(await index.rank({ by, candidates: 100, maxSimilarity: true, ...request }));

  describe(name, () => {
    test("what was put is found at once, the nearest vector first", async () => {
      const index = await open();
      expect(await index.describe()).toEqual(empty);
      for (let picture = 0; picture < 30; picture++) {
        const done = await put(index, recordOf(`p${picture}`, picture), picture);
        expect(done).toMatchObject({ kind: "put", freed: null, record: { id: `p${picture}` } });
      }
      for (const picture of [0, 7, 29]) {
        const outcome = await index.rank({
          ...{ by, candidates: 100, maxSimilarity: true },
          text: textOf(picture),
        });
        const [first] = byScore(outcome);
        expect(first).toMatchObject({ id: `p${picture}`, imageId: imageIdOf(picture) });
        expect(first?.scores.itc).toBeCloseTo(1, 1);
        const byImage = await index.rank({
          ...{ by, candidates: 5, maxSimilarity: true },
          image: vectorsOf(picture),
        });
        expect(byScore(byImage)[0]).toMatchObject({ id: `p${picture}` });
      }
      expect(await index.describe()).toEqual({ ...empty, records: 30, pictures: 30, by });
    });

    test("putting is idempotent; another picture under the same id frees the first", async () => {
      const index = await open();
      await put(index, recordOf("a", 1, { title: "one" }), 1, 10);
      await put(index, recordOf("a", 1, { title: "one" }), 1, 20);
      expect(await index.describe()).toMatchObject({ records: 1, pictures: 1 });
      expect(await index.read(["a"])).toMatchObject([{ createdAt: 10, updatedAt: 20 }]);
      expect(await put(index, recordOf("a", 2), 2)).toMatchObject({ freed: imageIdOf(1) });
      expect(await index.describe()).toMatchObject({ records: 1, pictures: 1 });
      expect(await ask(index, { text: textOf(1) })).toEqual(["a"]);
      expect(await index.read(["a"])).toMatchObject([{ imageId: imageIdOf(2), title: null }]);
    });

    test("the newest are those that came last, whatever their ids and whenever they were put again", async () => {
      const index = await open();
      for (const [at, id] of ["c", "a", "b"].entries()) await put(index, recordOf(id, at), at);
      await put(index, recordOf("c", 0, { title: "again" }), 0, 9);
      expect((await index.newest(2)).map(({ id }) => id)).toEqual(["b", "a"]);
      expect(await index.newest(10)).toMatchObject([{}, {}, { id: "c", title: "again" }]);
    });

    test("two records of one picture have its vectors once, and name each other", async () => {
      const index = await open();
      await put(index, recordOf("first", 1), 1);
      expect(await put(index, recordOf("second", 1), 1)).toMatchObject({
        record: { duplicateOf: "first" },
      });
      expect(await index.describe()).toMatchObject({ records: 2, pictures: 1 });
      expect(await ask(index, { text: textOf(1) })).toEqual(["first", "second"]);
      expect(await index.remove("first")).toEqual({ imageId: imageIdOf(1), freed: false });
      expect(await index.read(["second"])).toMatchObject([{ duplicateOf: null }]);
      expect(await index.remove("second")).toEqual({ imageId: imageIdOf(1), freed: true });
      expect(await index.remove("second")).toBeNull();
      expect(await index.describe()).toEqual(empty);
      expect(await ask(index, { text: textOf(1), words: "first" })).toEqual([]);
    });

    test("words: of titles, texts, tags and captions, and which of them people wrote", async () => {
      const index = await open();
      const texts = { title: "Café Zürich", text: "a long walk", tags: ["night shot"] };
      await put(index, recordOf("told", 1, texts), 1);
      await put(index, recordOf("seen", 2, { caption: "a cafe by night" }), 2);
      await put(index, recordOf("other", 3, { title: "nothing" }), 3);
      const outcome = await index.rank({
        ...{ by, candidates: 100, maxSimilarity: true, text: textOf(3) },
        words: 'cafe "night" OR NEAR(',
      });
      if (outcome.kind !== "ranked") throw new Error(outcome.kind);
      const found = outcome.records.filter(({ scores }) => scores.full_text !== undefined);
      expect(found.map(({ id }) => id).toSorted()).toEqual(["seen", "told"]);
      expect(outcome.records.filter(({ told }) => told)).toEqual([]);
      const told = await index.rank({
        ...{ by, candidates: 100, maxSimilarity: true, words: "ZURICH night" },
      });
      expect(told).toMatchObject({ kind: "ranked" });
      expect(told.kind === "ranked" ? told.records.filter((each) => each.told) : []).toMatchObject([
        { id: "told" },
      ]);
    });

    test("tags by models: found by filter and by words, apart from those that people wrote", async () => {
      const index = await open();
      const by_ = (tag: string) => ({ tag, from: "caption" as const });
      const seen = { caption: "two owls", autoTags: [by_("owl"), { ...by_("bird"), score: 0.5 }] };
      await put(index, recordOf("seen", 1, { ...seen, tags: ["mine"] }), 1);
      await put(index, recordOf("told", 2, { tags: ["owl"] }), 2);
      const under = (filter: SearchFilter) => ask(index, { text: textOf(1), filter });
      expect(await under({ auto_tags: { all: ["owl", "bird"] } })).toEqual(["seen"]);
      expect(await under({ tags: { any: ["owl"] } })).toEqual(["told"]);
      expect(await under({ auto_tags: { none: ["owl"] } })).toEqual(["told"]);
      expect(await under({ tags: { any: ["mine"] }, auto_tags: { any: ["bird"] } })).toEqual([
        "seen",
      ]);
      const found = await index.rank({ by, candidates: 9, maxSimilarity: true, words: "bird" });
      expect(found).toMatchObject({ kind: "ranked", records: [{ id: "seen", told: false }] });
      // People change their own words only.
      await index.update("seen", { tags: ["other"] }, 9);
      expect(await index.read(["seen"])).toMatchObject([{ ...seen, tags: ["other"] }]);
      await put(index, recordOf("seen", 1), 1);
      expect(await under({ auto_tags: { any: ["owl"] } })).toEqual([]);
    });

    test("filters hold together; a field that no record has is named", async () => {
      const index = await open();
      const of = (id: string, picture: number, tags: string[], metadata: IndexRecord["metadata"]) =>
        put(index, recordOf(id, picture, { tags, metadata }), picture);
      await of("a", 1, ["x", "y"], { year: 1999, place: "Bern", ok: true });
      await of("b", 2, ["x"], { year: 2005, place: "true", ok: false });
      await of("c", 3, [], { year: 2010 });
      const under = (filter: RankRequest["filter"]) =>
        ask(index, { text: textOf(1), ...(filter === undefined ? {} : { filter }) });
      expect(await under({ tags: { any: ["x", "z"] } })).toEqual(["a", "b"]);
      expect(await under({ tags: { all: ["x", "y", "x"] } })).toEqual(["a"]);
      expect(await under({ tags: { none: ["y"] } })).toEqual(["b", "c"]);
      expect(await under({ metadata: { year: { gt: 1999, lte: 2010 } } })).toEqual(["b", "c"]);
      expect(await under({ metadata: { ok: true } })).toEqual(["a"]);
      expect(await under({ metadata: { place: "true" } })).toEqual(["b"]);
      expect(await under({ metadata: { place: { in: ["Bern", "x"] }, year: 1999 } })).toEqual([
        "a",
      ]);
      expect(await under({ metadata: { place: { not_in: ["Bern"] } } })).toEqual(["b", "c"]);
      expect(await under({ metadata: { place: "'; DROP TABLE records; --" } })).toEqual([]);
      const wrong = { metadata: { colour: "red", year: 1 } };
      expect(await index.rank({ by, candidates: 9, maxSimilarity: true, filter: wrong })).toEqual({
        kind: "unknown_fields",
        fields: ["colour"],
      });
      // Of two records of one picture, only the one that passes.
      await of("twin", 1, ["z"], {});
      expect(await under({ tags: { any: ["z"] } })).toEqual(["twin"]);
    });

    test("updating changes what is told and nothing else", async () => {
      const index = await open();
      await put(index, recordOf("a", 1, { title: "old", tags: ["t"], caption: "seen" }), 1, 5);
      const done = await index.update("a", { title: null, metadata: { n: 1 } }, 9);
      expect(done).toMatchObject({ title: null, tags: ["t"], caption: "seen", createdAt: 5 });
      expect(await index.read(["nothing", "a"])).toEqual([done]);
      const words = await index.rank({ by, candidates: 9, maxSimilarity: true, words: "old" });
      expect(words).toEqual({ kind: "ranked", records: [] });
      expect(await ask(index, { text: textOf(1), filter: { metadata: { n: 1 } } })).toEqual(["a"]);
      expect(await index.update("b", { title: "x" }, 9)).toBeNull();
    });

    test("vectors of another revision are refused until the last record is gone", async () => {
      const index = await open();
      await put(index, recordOf("a", 1), 1);
      const other = { ...by, modelRevision: "ffffffffffffffff" };
      const again = () =>
        index.put({
          ...{ record: recordOf("b", 2), by: other, now: 1 },
          ...{ vectors: vectorsOf(2).slice(0, 3 * 8), dim: 8 },
        });
      expect(await again()).toEqual({ kind: "other_model", by, holds: false });
      const asked = await index.rank({ by: other, candidates: 9, maxSimilarity: true });
      expect(asked).toEqual({ kind: "other_model", by });
      expect(await index.clear(10)).toEqual({ removed: 1, left: 0, freed: [imageIdOf(1)] });
      expect(await again()).toMatchObject({ kind: "put" });
    });

    test("knows since when files are kept of a picture, until it goes or nobody wants them", async () => {
      const index = await open();
      const keep = (id: string, picture: number, kept: KeptSince) =>
        index.put({
          ...{ record: recordOf(id, picture), by, vectors: vectorsOf(picture), dim, now: 1, kept },
        });
      await keep("a", 1, { thumbnailAt: null, originalAt: 4 });
      expect(await index.read(["a"])).toMatchObject([{ thumbnailAt: null, originalAt: null }]);
      await index.configure({ keepOriginals: true });
      expect(await index.describe()).toMatchObject({ keepOriginals: true });
      await keep("a", 1, { thumbnailAt: 5, originalAt: 6 });
      // What is not put again stays, and records of one picture have it together.
      await keep("b", 1, { thumbnailAt: 7, originalAt: null });
      for (const record of await index.list(null, 9)) {
        expect(record).toMatchObject({ thumbnailAt: 7, originalAt: 6 });
      }
      await index.configure({ keepOriginals: false });
      expect(await index.read(["a"])).toMatchObject([{ thumbnailAt: 7, originalAt: null }]);
      await index.remove("a");
      await index.remove("b");
      await put(index, recordOf("a", 1), 1);
      expect(await index.read(["a"])).toMatchObject([{ thumbnailAt: null, originalAt: null }]);
      await index.configure({ keepOriginals: true });
      await index.clear(9);
      expect(await index.describe()).toEqual(empty);
    });

    test("lists by id, page by page, and clears so many at a time", async () => {
      const index = await open();
      for (const picture of [3, 1, 2, 1]) {
        await put(index, recordOf(`p${picture}`, picture), picture);
      }
      const first = await index.list(null, 2);
      expect(first.map(({ id }) => id)).toEqual(["p1", "p2"]);
      expect((await index.list("p2", 2)).map(({ id }) => id)).toEqual(["p3"]);
      expect(await index.clear(2)).toMatchObject({ removed: 2, left: 1 });
      expect(await index.clear(2)).toMatchObject({ removed: 1, left: 0 });
      expect(await index.list(null, 9)).toEqual([]);
    });
  });
}

const byScore = (outcome: RankOutcome) =>
  outcome.kind === "ranked"
    ? outcome.records.toSorted(
        (a, b) => (b.scores.itc ?? b.scores.image ?? 0) - (a.scores.itc ?? a.scores.image ?? 0),
      )
    : [];

function idsOf(outcome: RankOutcome): string[] {
  if (outcome.kind !== "ranked") throw new Error(outcome.kind);
  return outcome.records.map(({ id }) => id).toSorted();
}
