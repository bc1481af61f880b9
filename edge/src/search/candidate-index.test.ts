import { expect, test } from "vitest";
import {
  by,
  put,
  recordOf,
  testImageIndex,
  textOf,
  vectorsOf,
} from "../../../test/support/image-index-suite.ts";
import { vectorizeIndex, type VectorizeIndex } from "../../../test/support/vectorize-index.ts";
import { tooManyRequests, vectorizeStandIn } from "../../../test/support/vectorize-stand-in.ts";
import type { ImageIndex, RankRequest } from "./image-index.ts";

async function moved(options: Parameters<typeof vectorizeIndex>[0] = {}): Promise<VectorizeIndex> {
  const made = vectorizeIndex(options);
  expect(await made.index.moveCandidates("vectorize")).toMatchObject({ kind: "moving" });
  return made;
}
/** Does something before each question. */
const before = (index: ImageIndex, what: () => Promise<unknown>): ImageIndex => ({
  ...index,
  async rank(request) {
    await what();
    return index.rank(request);
  },
});

testImageIndex("Vectorize, where nothing was ever written", async () => (await moved()).index);
testImageIndex("Vectorize, where nothing written is processed", async () => {
  const { index } = await moved();
  return before(index, () => index.pump());
});
testImageIndex("Vectorize, where all is processed before each question", async () => {
  const { index, settle } = await moved();
  return before(index, settle);
});
testImageIndex("Vectorize out of order", async () => {
  const { index, standIn } = await moved();
  standIn.interfere = () => {
    throw tooManyRequests();
  };
  return before(index, () => index.pump());
});

const request = { by, candidates: 5, maxSimilarity: true } as const;
async function found(index: ImageIndex, more: Partial<RankRequest>): Promise<string[]> {
  const outcome = await index.rank({ ...request, ...more });
  if (outcome.kind !== "ranked") throw new Error(outcome.kind);
  return outcome.records.map(({ id }) => id).toSorted();
}
const fill = async (index: ImageIndex, pictures: number): Promise<void> => {
  for (let picture = 0; picture < pictures; picture++) {
    await put(index, recordOf(`p${picture}`, picture), picture);
  }
};

test("once all is processed the candidates are Vectorize's, two hundred of four partitions", async () => {
  const { index, standIn, settle, memory } = await moved();
  await fill(index, 900);
  await settle();
  expect(await index.candidates()).toEqual({
    ...{ store: "vectorize", target: "vectorize", waiting: 0, leaving: 0, fault: null },
  });
  expect(new Set(standIn.shown().map(({ namespace }) => namespace)).size).toBe(4);
  // The nearest 200 of an exact scan, each with the same scores.
  const ask = { ...request, candidates: 200, text: textOf(7), image: vectorsOf(8) };
  const ours = await index.rank(ask);
  const { index: exact } = vectorizeIndex({ memory, bound: false });
  expect(ours).toEqual(await exact.rank(ask));
  expect(standIn.calls.query).toBe(8);
  // The last mutation that was processed was this namespace's own, which says enough.
  expect(standIn.calls.getByIds).toBe(0);
});

test("what is processed is also known when another namespace wrote last", async () => {
  const standIn = vectorizeStandIn(16);
  const [ada, bob] = [await moved({ standIn }), await moved({ standIn })];
  for (const { index } of [ada, bob]) {
    await fill(index, 2);
    await index.pump();
  }
  standIn.process(1);
  await bob.index.pump();
  expect(await bob.index.candidates()).toMatchObject({ waiting: 2 });
  standIn.process();
  await ada.index.pump();
  expect(await ada.index.candidates()).toMatchObject({ waiting: 0 });
  expect(standIn.calls.getByIds).toBe(2);
  await ada.index.remove("p0");
  await ada.index.pump();
  await put(bob.index, recordOf("more", 5), 5);
  await bob.index.pump();
  await ada.index.pump();
  expect(await ada.index.candidates()).toMatchObject({ leaving: 1 });
  standIn.process();
  await ada.index.pump();
  expect(await ada.index.candidates()).toMatchObject({ leaving: 0 });
});

test("a picture that is confirmed while Vectorize answers is found all the same", async () => {
  const { index, standIn, settle } = await moved();
  await fill(index, 3);
  await settle();
  await put(index, recordOf("late", 99), 99);
  await index.pump();
  standIn.afterwards = async (operation) => {
    if (operation === "query") await settle();
  };
  expect(await found(index, { image: vectorsOf(99), candidates: 1 })).toEqual(["late"]);
  expect(await index.candidates()).toMatchObject({ waiting: 0 });
});

test("a picture that is deleted while Vectorize answers is not found, and not written", async () => {
  const { index, standIn, settle } = await moved();
  await fill(index, 3);
  await settle();
  standIn.afterwards = async (operation) => {
    if (operation === "query") await index.remove("p1");
  };
  expect(await found(index, { text: textOf(1) })).toEqual(["p0", "p2"]);
  standIn.afterwards = undefined;
  await settle();
  expect(standIn.ids()).toHaveLength(2);
});

test("a deletion waits for the write that it undoes, and leaves no trace", async () => {
  const { index, standIn, settle, memory } = await moved();
  await fill(index, 2);
  await index.pump();
  await put(index, recordOf("never sent", 5), 5);
  await index.remove("never sent");
  await index.remove("p0");
  expect(await index.candidates()).toMatchObject({ waiting: 1, leaving: 1 });
  await index.pump();
  // Its upsert is not processed: until then a deletion could come before it.
  expect(standIn.calls.deleteByIds).toBe(0);
  await index.clear(10);
  await settle();
  expect(standIn.ids()).toEqual([]);
  expect(await index.candidates()).toMatchObject({ waiting: 0, leaving: 0 });
  for (const table of ["outside", "sendings", "pictures", "vectors"]) {
    expect(memory.db.prepare(`SELECT * FROM ${table}`).all(), table).toEqual([]);
  }
});

test("vectors that are still to be deleted do not stand before what is there", async () => {
  const { index, standIn, settle } = await moved();
  await fill(index, 600);
  await settle();
  for (let picture = 0; picture < 590; picture++) await index.remove(`p${picture}`);
  expect(standIn.ids()).toHaveLength(600);
  expect(await found(index, { text: textOf(0), candidates: 10 })).toHaveLength(10);
});

test("writes go out in the largest batches, deletions in hundreds", async () => {
  const { index, standIn, settle } = await moved({ limits: { fewWaiting: 0 } });
  await fill(index, 2100);
  await settle();
  expect(standIn.calls.upsert).toBe(3);
  await index.clear(3000);
  await settle();
  expect(standIn.calls.deleteByIds).toBe(21);
  expect(standIn.ids()).toEqual([]);
});

test("two tenants in one Vectorize index never see each other, even if it mixed them up", async () => {
  const standIn = vectorizeStandIn(16);
  const [ada, bob] = [await moved({ standIn }), await moved({ standIn })];
  for (const [who, id, pictures] of [
    [ada, "ada's", 1],
    [bob, "bob's", 3],
  ] as const) {
    for (let picture = 1; picture <= pictures; picture++) {
      await put(who.index, recordOf(picture === 1 ? id : `${id} ${picture}`, picture), picture);
    }
    await who.settle();
  }
  const confused = {
    ...standIn,
    query: async () => ({ matches: standIn.shown().map(({ id }) => ({ id })) }),
  };
  for (const asked of [standIn, confused]) {
    const { index } = vectorizeIndex({ memory: ada.memory, standIn: asked });
    expect(await found(index, { text: textOf(1) })).toEqual(["ada's"]);
    // Nor takes one the other's vectors for its own that should not be there.
    expect(await index.candidates()).toMatchObject({ leaving: 0 });
  }
  await ada.index.remove("ada's");
  await ada.settle();
  expect(standIn.ids()).toHaveLength(3);
  expect(await found(bob.index, { text: textOf(1) })).toContain("bob's");
});

test("a vector that nobody knows is no hit, and is deleted", async () => {
  const { index, standIn, settle } = await moved();
  await fill(index, 1);
  await settle();
  const [known] = standIn.shown();
  if (known === undefined) throw new Error("nothing was written");
  await standIn.upsert([{ ...known, id: known.id.replace(/\d+$/, "4000") }]);
  standIn.process();
  expect(await found(index, { text: textOf(0) })).toEqual(["p0"]);
  await settle();
  expect(standIn.ids()).toEqual([known.id]);
});

test("what fails is kept and sent again, later each time", async () => {
  const { index, standIn, events, pass, settle, wakes } = await moved();
  await fill(index, 2);
  standIn.interfere = (operation) => {
    if (operation === "upsert") throw tooManyRequests();
  };
  const waits = [await index.pump(), await index.pump(), await index.pump()];
  expect(waits).toEqual([1000, 2000, 4000]);
  expect(events.at(-1)).toMatchObject({ event: "vectorize_failed", again_in_ms: 4000 });
  expect(await index.candidates()).toMatchObject({
    waiting: 2,
    fault: expect.stringContaining("sent again"),
  });
  // More to write does not shorten the rest.
  pass(1000);
  await put(index, recordOf("more", 7), 7);
  expect(wakes.at(-1)).toBe(3000);
  expect(await found(index, { text: textOf(1) })).toContain("p1");
  standIn.interfere = undefined;
  await settle();
  expect(await index.candidates()).toMatchObject({ waiting: 0, fault: null });
  expect(standIn.ids()).toHaveLength(3);
});

test("a batch whose answer is lost is asked again, and one picture is there once", async () => {
  const { index, standIn, settle } = await moved();
  await fill(index, 3);
  standIn.afterwards = (operation) => {
    if (operation === "upsert") throw new Error("the connection broke");
  };
  await index.pump();
  // It is asked for already, though nobody has said so.
  await index.remove("p2");
  standIn.afterwards = undefined;
  await settle();
  expect(standIn.calls.upsert).toBe(2);
  expect(standIn.ids()).toHaveLength(2);
});

test("a deletion whose answer is lost is asked again", async () => {
  const { index, standIn, settle } = await moved();
  await fill(index, 2);
  await settle();
  await index.remove("p0");
  standIn.afterwards = (operation) => {
    if (operation === "deleteByIds") throw new Error("the connection broke");
  };
  await index.pump();
  expect(await index.candidates()).toMatchObject({ leaving: 1 });
  standIn.afterwards = undefined;
  await settle();
  expect(standIn.calls.deleteByIds).toBe(2);
  expect(await index.candidates()).toMatchObject({ leaving: 0 });
});

test("a mutation that is never heard of is sent again after an hour", async () => {
  const { index, standIn, pass } = await moved();
  await fill(index, 1);
  await index.pump();
  pass(3_500_000);
  await index.pump();
  expect(standIn.calls.upsert).toBe(1);
  pass(200_000);
  await index.pump();
  expect(standIn.calls.upsert).toBe(2);
});

test("whoever ends in the middle of a call leaves everything to the next", async () => {
  const first = await moved();
  await fill(first.index, 3);
  await new Promise<void>((asked) => {
    first.standIn.interfere = (operation) => {
      if (operation !== "upsert") return undefined;
      asked();
      return new Promise(() => {});
    };
    void first.index.pump();
  });
  const { index, settle, standIn, wakes } = vectorizeIndex(first);
  expect(wakes).toEqual([500]);
  expect(await index.candidates()).toMatchObject({ store: "vectorize", waiting: 3 });
  standIn.interfere = undefined;
  await settle();
  expect(standIn.ids()).toHaveLength(3);
  expect(await index.candidates()).toMatchObject({ waiting: 0 });
});

test("when Vectorize does not answer, the exact scan does, and it is left alone for a while", async () => {
  const { index, standIn, settle, pass, tooLate, memory } = await moved();
  await fill(index, 4);
  await settle();
  standIn.interfere = () => new Promise(() => {});
  const asking = found(index, { text: textOf(3), candidates: 1 });
  tooLate();
  expect(await asking).toEqual(["p3"]);
  const { query } = standIn.calls;
  pass(29_000);
  expect(await found(index, { text: textOf(2), candidates: 1 })).toEqual(["p2"]);
  expect(standIn.calls.query).toBe(query);
  pass(2_000);
  await found(index, { text: textOf(2) });
  expect(standIn.calls.query).toBeGreaterThan(query);
  // With more pictures than fit into memory it cannot be done without.
  const large = vectorizeIndex({ memory, standIn, limits: { embedded: 3 } });
  large.tooLate();
  expect(await large.index.rank({ ...request, text: textOf(3) })).toEqual({ kind: "unavailable" });
});

test("one partition that fails is a failure, not a smaller answer", async () => {
  const { index: first, memory, standIn, settle } = await moved();
  await fill(first, 4);
  await settle();
  for (let picture = 0; picture < 4; picture++) {
    const { index } = vectorizeIndex({ memory, standIn });
    let asked = 0;
    standIn.interfere = () => {
      asked += 1;
      if (asked === 3) throw tooManyRequests();
    };
    expect(await found(index, { text: textOf(picture), candidates: 1 })).toEqual([`p${picture}`]);
    expect(asked).toBe(4);
  }
});

test("a filter that leaves few is exact without Vectorize; one that leaves many holds too", async () => {
  const { index, standIn, settle } = await moved({ limits: { scanned: 3 } });
  for (let picture = 0; picture < 12; picture++) {
    const tags = picture < 3 ? ["few"] : ["many"];
    await put(index, recordOf(`p${picture}`, picture, { tags }), picture);
    await settle();
  }
  const few = { filter: { tags: { any: ["few"] } }, text: textOf(9) };
  expect(await found(index, few)).toEqual(["p0", "p1", "p2"]);
  expect(standIn.calls.query).toBe(0);
  const many = { filter: { tags: { any: ["many"] } }, text: textOf(1) };
  expect(await found(index, { ...many, candidates: 50 })).toHaveLength(9);
  expect(standIn.calls.query).toBe(4);
});

test("a namespace that is too far behind takes no more until Vectorize has caught up", async () => {
  const { index, settle } = await moved({ limits: { scanned: 2 } });
  await fill(index, 2);
  expect(await put(index, recordOf("more", 9), 9)).toEqual({ kind: "behind", holds: false });
  expect(await put(index, recordOf("more", 1), 1)).toEqual({ kind: "behind", holds: true });
  await settle();
  expect(await put(index, recordOf("more", 9), 9)).toMatchObject({ kind: "put" });
});

test("an index of other dimensions is refused, and found out when it is there already", async () => {
  const standIn = vectorizeStandIn(8);
  const { index } = vectorizeIndex({ standIn });
  // Nothing is known yet of an empty namespace.
  expect(await index.moveCandidates("vectorize")).toMatchObject({ kind: "moving" });
  await fill(index, 2);
  expect(await index.pump()).toBe(300_000);
  expect(standIn.calls.upsert).toBe(0);
  expect((await index.candidates()).fault).toContain("8 numbers");
  expect(await found(index, { text: textOf(1), candidates: 1 })).toEqual(["p1"]);
  await index.moveCandidates("embedded");
  expect(await index.moveCandidates("vectorize")).toEqual({
    ...{ kind: "other_dimensions", dimensions: 8, dim: 16 },
  });
});

test("another, empty index bound in its place is no empty answer", async () => {
  const { memory, settle, index } = await moved();
  await fill(index, 3);
  await settle();
  const other = vectorizeIndex({ memory });
  expect(await found(other.index, { text: textOf(2), candidates: 1 })).toEqual(["p2"]);
  // Back and there again writes everything anew.
  await other.index.moveCandidates("embedded");
  await other.index.moveCandidates("vectorize");
  await other.settle();
  expect(other.standIn.ids()).toHaveLength(3);
});

test("without a binding nothing moves, and what has moved is compared here", async () => {
  const { memory, settle, index } = await moved();
  await fill(index, 3);
  await settle();
  const { index: cutOff } = vectorizeIndex({ memory, bound: false });
  expect(await found(cutOff, { text: textOf(2), candidates: 1 })).toEqual(["p2"]);
  expect((await cutOff.candidates()).fault).toContain("No Vectorize");
  const fresh = vectorizeIndex({ bound: false });
  expect(await fresh.index.moveCandidates("vectorize")).toEqual({ kind: "not_bound" });
  expect(await fresh.index.pump()).toBeUndefined();
  expect(fresh.wakes).toEqual([]);
});
