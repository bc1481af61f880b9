import fc from "fast-check";
import { expect, test } from "vitest";
import { by, put, recordOf, textOf, vectorsOf } from "../../../test/support/image-index-suite.ts";
import { memoryIndex } from "../../../test/support/memory-index.ts";
import { vectorizeIndex } from "../../../test/support/vectorize-index.ts";
import { tooManyRequests, vectorizeStandIn } from "../../../test/support/vectorize-stand-in.ts";
import type { RankOutcome, RankRequest } from "./image-index.ts";

const pictures = 300;
const ask = (picture: number): RankRequest => ({
  ...{ by, candidates: 3, maxSimilarity: true, image: vectorsOf(picture) },
});
const best = (outcome: RankOutcome): string | undefined =>
  outcome.kind === "ranked"
    ? outcome.records.toSorted((a, b) => (b.scores.image ?? 0) - (a.scores.image ?? 0))[0]?.id
    : outcome.kind;

test("a move there and back, ended in the middle and gone on with, is never seen by a search", async () => {
  const memory = memoryIndex();
  const standIn = vectorizeStandIn(16);
  const limits = { fewWaiting: 50 };
  let { index, settle } = vectorizeIndex({ memory, standIn, limits });
  const restart = () => {
    ({ index, settle } = vectorizeIndex({ memory, standIn, limits }));
  };
  const right = async () => {
    for (const picture of [0, 149, 299]) {
      expect(best(await index.rank(ask(picture)))).toBe(`p${picture}`);
    }
  };
  for (let picture = 0; picture < pictures; picture++) {
    await put(index, recordOf(`p${picture}`, picture), picture);
  }
  await right();

  const there = { store: "embedded", target: "vectorize", waiting: pictures };
  expect(await index.moveCandidates("vectorize")).toMatchObject({ info: there });
  await right();
  let upserts = 0;
  standIn.interfere = (operation) => {
    // The first comes through, and its answer does not.
    if (operation === "upsert" && ++upserts > 1) throw tooManyRequests();
  };
  standIn.afterwards = (operation) => {
    if (operation === "upsert") throw new Error("the connection broke");
  };
  await index.pump();
  await right();
  restart();
  expect(await index.candidates()).toMatchObject(there);
  await index.pump();
  await right();
  standIn.process();
  [standIn.interfere, standIn.afterwards] = [undefined, undefined];
  restart();
  await index.pump();
  await put(index, recordOf("meanwhile", 1000), 1000);
  expect(best(await index.rank(ask(1000)))).toBe("meanwhile");
  await settle();
  expect(await index.candidates()).toMatchObject({ store: "vectorize", waiting: 0, leaving: 0 });
  expect(standIn.ids()).toHaveLength(pictures + 1);
  const { query } = standIn.calls;
  await right();
  expect(standIn.calls.query).toBeGreaterThan(query);

  const back = { store: "embedded", target: "embedded", waiting: 0, leaving: pictures + 1 };
  expect(await index.moveCandidates("embedded")).toMatchObject({ info: back });
  await right();
  await index.pump();
  restart();
  await right();
  // Turned round in the middle: what leaves goes on leaving, and every picture is written anew.
  await index.moveCandidates("vectorize");
  await index.pump();
  await right();
  await index.moveCandidates("embedded");
  await settle();
  expect(standIn.ids()).toEqual([]);
  await right();
});

test("more pictures than fit into memory do not move back", async () => {
  const { index } = vectorizeIndex({ limits: { embedded: 2 } });
  await index.moveCandidates("vectorize");
  for (const picture of [1, 2, 3]) await put(index, recordOf(`p${picture}`, picture), picture);
  expect(await index.moveCandidates("embedded")).toEqual({ kind: "too_many", most: 2 });
  await index.remove("p3");
  expect(await index.moveCandidates("embedded")).toMatchObject({ kind: "moving" });
  // And what is embedded is full again.
  expect(await put(index, recordOf("p3", 3), 3)).toMatchObject({ kind: "full", maxRecords: 2 });
});

const pictureNumber = fc.integer({ min: 0, max: 9 });
const step = fc.oneof(
  fc.record({ do: fc.constant("put" as const), id: pictureNumber, picture: pictureNumber }),
  fc.record({ do: fc.constant("remove" as const), id: pictureNumber }),
  fc.record({ do: fc.constant("process" as const), most: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant("pump" as const) }),
  fc.record({ do: fc.constant("restart" as const) }),
  fc.record({
    do: fc.constant("fail" as const),
    when: fc.constantFrom("before", "after", "never"),
  }),
  fc.record({ do: fc.constant("move" as const), to: fc.constantFrom("embedded", "vectorize") }),
);

test("whatever happens in between, both stores answer alike, and nothing is left at the end", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const [memory, standIn] = [memoryIndex(), vectorizeStandIn(16)];
      const open = () => vectorizeIndex({ memory, standIn, limits: { fewWaiting: 2 } });
      let own = open();
      const { index: plain } = vectorizeIndex({ bound: false });
      for (const each of steps) {
        if (each.do === "put") {
          const tags = each.picture % 2 === 0 ? ["even"] : [];
          for (const index of [own.index, plain]) {
            await put(index, recordOf(`i${each.id}`, each.picture, { tags }), each.picture);
          }
        } else if (each.do === "remove") {
          for (const index of [own.index, plain]) await index.remove(`i${each.id}`);
        } else if (each.do === "process") standIn.process(each.most);
        else if (each.do === "pump") await own.index.pump();
        else if (each.do === "restart") own = open();
        else if (each.do === "move") await own.index.moveCandidates(each.to);
        else {
          const fail = (operation: string): void => {
            if (operation !== "describe") throw tooManyRequests();
          };
          standIn.interfere = each.when === "before" ? fail : undefined;
          standIn.afterwards = each.when === "after" ? fail : undefined;
        }
        for (const more of [
          { text: textOf(4) },
          { image: vectorsOf(5), filter: { tags: { any: ["even"] } } },
        ]) {
          const asked = { by, candidates: 3, maxSimilarity: true, ...more };
          expect(await own.index.rank(asked)).toEqual(await plain.rank(asked));
        }
      }
      [standIn.interfere, standIn.afterwards] = [undefined, undefined];
      await own.index.moveCandidates("vectorize");
      await own.settle();
      expect(standIn.ids()).toHaveLength((await plain.describe()).pictures);
      await own.index.moveCandidates("embedded");
      await own.settle();
      expect(standIn.ids()).toEqual([]);
    }),
    { numRuns: 60 },
  );
});
