import type { Ability, Catalog } from "@blip2-edge/shared/wire/protocol";
import { describe, expect, test } from "vitest";
import { catalogMemory, models, type Models, type NodeList } from "./catalog.ts";
import { createFleet, staticNodes } from "./fleet.ts";

const entry = {
  model: "nano",
  model_revision: "0".repeat(16),
  family: "opt",
  image_size: 56,
  abilities: ["caption"],
  question_template: "{}",
} satisfies Catalog["models"][number];
const catalog: Catalog = { models: [entry, { ...entry, model: "second", abilities: ["vqa"] }] };
const signal = new AbortController().signal;

function setUp(
  stored: string | null = null,
  defaultModel?: string,
  urls = ["http://a"],
  list?: NodeList["list"],
) {
  const state = {
    ...{ time: 0, stored, asked: 0, faults: 0, catalog },
    down: new Set<string>(),
    /** What single nodes hold instead. */
    own: new Map<string, Catalog>(),
    up: true,
  };
  const fleet = createFleet();
  const fixed = staticNodes(urls);
  fleet.setNodes(fixed, 0);
  const room = models({
    ...{ fleet, fixed },
    announced: list === undefined ? undefined : { list, ttlMs: 5000 },
    exchangeWith:
      ({ url }) =>
      () => {
        state.asked += 1;
        const lives = state.up && !state.down.has(url);
        return lives
          ? Promise.resolve(state.own.get(url) ?? state.catalog)
          : Promise.reject(new Error("down"));
      },
    memory: catalogMemory(),
    backup: {
      read: () => Promise.resolve(state.stored),
      write: (text) => {
        state.stored = text;
        return Promise.resolve();
      },
    },
    ttlMs: 1000,
    timeoutMs: 1000,
    defaultModel,
    later: () => {},
    onFault: () => {
      state.faults += 1;
    },
    now: () => state.time,
  });
  return { room, state, fleet };
}

test("is asked once in its lifetime, kept, and asked again after it", async () => {
  const { room, state } = setUp();
  await room.all(signal);
  await room.all(signal);
  expect(state.asked).toBe(1);
  expect(JSON.parse(state.stored ?? "")).toEqual(catalog);
  state.time = 1000;
  await room.all(signal);
  expect(state.asked).toBe(2);
});

test("where nothing is known yet, requests that come at the same time each get it", async () => {
  const { room, state } = setUp();
  const both = await Promise.all([room.all(signal), room.all(signal)]);
  expect(both).toEqual([catalog, catalog]);
  expect(state.asked).toBe(2);
});

test("while the node is down the old one serves, from memory or from the store, and the node is left alone", async () => {
  const known = setUp();
  await known.room.all(signal);
  known.state.up = false;
  known.state.time = 1000;
  expect(await known.room.all(signal)).toEqual(catalog);
  expect(await known.room.all(signal)).toEqual(catalog);
  expect(known.state.asked).toBe(2);
  known.state.time = 3000;
  await known.room.all(signal);
  expect(known.state.asked).toBe(3);

  const fresh = setUp(JSON.stringify(catalog));
  fresh.state.up = false;
  expect(await fresh.room.all(signal)).toEqual(catalog);

  const nothing = setUp("{");
  nothing.state.up = false;
  await expect(nothing.room.all(signal)).rejects.toMatchObject({ code: "node_unavailable" });
});

test("names, the default and abilities", async () => {
  const { room } = setUp();
  expect(await room.resolve(undefined, "caption", signal)).toMatchObject({ model: "nano" });
  expect(await room.resolve("second", "vqa", signal)).toMatchObject({ model: "second" });
  const none = room.resolve("third", "vqa", signal);
  await expect(none).rejects.toMatchObject({ code: "model_not_found" });
  const cannot = room.resolve("second", "caption", signal);
  await expect(cannot).rejects.toMatchObject({
    code: "invalid_request",
    detail: "`model` names one that cannot do caption; nano can.",
  });
  const nobody = room.resolve("second", "match", signal);
  await expect(nobody).rejects.toMatchObject({
    code: "invalid_request",
    detail: "`model` names one that cannot do match; no model here can.",
  });
});

test("with no name: the default where it can, else the first that can, else a problem that says so", async () => {
  const itm = { ...entry, family: "retrieval", abilities: ["match", "embed"] };
  const chosen = async (ability: Ability, defaultModel?: string) => {
    const { room, state } = setUp(null, defaultModel);
    state.catalog = {
      models: [
        ...catalog.models,
        { ...itm, model: "itm" },
        { ...itm, model: "itm-coco" },
        { ...entry, model: "all", abilities: ["caption", "vqa", "match"] },
      ],
    };
    const { model } = await room.resolve(undefined, ability, signal);
    return [model, state.faults];
  };
  expect(await chosen("caption")).toEqual(["nano", 0]);
  expect(await chosen("vqa")).toEqual(["second", 0]);
  expect(await chosen("match")).toEqual(["itm", 0]);
  expect(await chosen("vqa", "all")).toEqual(["all", 0]);
  expect(await chosen("match", "itm-coco")).toEqual(["itm-coco", 0]);
  expect(await chosen("caption", "itm-coco")).toEqual(["nano", 0]);
  // A name that no node has is told in the log.
  expect(await chosen("caption", "gone")).toEqual(["nano", 1]);

  const { room, state } = setUp();
  await expect(room.resolve(undefined, "embed", signal)).rejects.toMatchObject({
    code: "model_not_found",
    detail: "No model here can do embed. GET /v1/models lists what each can do.",
  });
  state.catalog = { models: [] };
  const empty = room.resolveFresh(undefined, "caption", signal);
  await expect(empty).rejects.toMatchObject({ code: "node_unavailable" });
});

test("a fresh answer is asked for even when the old one is believed", async () => {
  const { room, state } = setUp();
  await room.all(signal);
  state.catalog = { models: [{ ...entry, model_revision: "f".repeat(16) }] };
  const fresh = await room.resolveFresh("nano", "caption", signal);
  expect(fresh.model_revision).toBe("f".repeat(16));
});

describe("several nodes", () => {
  const urls = ["http://a", "http://b", "http://c"];
  const next = "f".repeat(16);
  const rolled: Catalog = { models: [{ ...entry, model_revision: next }] };
  const revision = async (room: Models) => {
    const { model_revision } = await room.resolve("nano", "caption", signal);
    return model_revision;
  };

  test("all that any of them has, one revision of each: the one that most of them hold", async () => {
    const { room, state } = setUp(null, undefined, urls);
    state.own.set("http://b", { models: [{ ...entry, model: "only-b" }] });
    const all = await room.all(signal);
    expect(all.models.map(({ model }) => model)).toEqual(["nano", "second", "only-b"]);

    state.own.clear();
    for (const [at, expected] of [entry.model_revision, next, next].entries()) {
      state.own.set(urls[at] ?? "", rolled);
      state.time += 1000;
      expect(await revision(room)).toBe(expected);
    }
  });

  test("at a tie the revision stays that it was", async () => {
    const two = setUp(null, undefined, urls.slice(0, 2));
    await two.room.all(signal);
    two.state.own.set("http://a", rolled);
    two.state.time = 1000;
    expect(await revision(two.room)).toBe(entry.model_revision);
    two.state.own.clear();
    two.state.catalog = rolled;
    two.state.time = 2000;
    expect(await revision(two.room)).toBe(next);
    two.state.own.set("http://a", catalog);
    two.state.time = 3000;
    expect(await revision(two.room)).toBe(next);
  });

  test("one that is down keeps nobody waiting, and is told in the log", async () => {
    const { room, state } = setUp(null, undefined, urls);
    state.down.add("http://b");
    expect(await room.all(signal)).toEqual(catalog);
    expect(state).toMatchObject({ asked: 3, faults: 1 });
  });

  test("one that is out is checked when it is due, and is back when it answers", async () => {
    const { room, state, fleet } = setUp(null, undefined, urls);
    await room.all(signal);
    for (let at = 0; at < 3; at++) {
      fleet.end(fleet.begin("http://b", "kind", 1000, 0), { kind: "broken" }, 0);
    }
    const out = () => fleet.state(state.time).filter((node) => node.out !== undefined).length;
    expect(out()).toBe(1);
    state.time = 999;
    await room.all(signal);
    expect(state.asked).toBe(3);
    state.time = 1000;
    await room.all(signal);
    await expect.poll(out).toBe(0);
  });
});

describe("nodes that announce themselves", () => {
  const announcedNode = { url: "http://n", keyId: "n", weight: 1, models: catalog.models };
  function withList(urls: string[] = []) {
    const registry = { reads: 0, up: true, ago: 0, nodes: [announcedNode] };
    const { state, room, fleet } = setUp(null, undefined, urls, (now) => {
      registry.reads += 1;
      if (!registry.up) return Promise.reject(new Error("registry is away"));
      return Promise.resolve(
        registry.nodes.map((node) => ({ ...node, heardAt: now - registry.ago })),
      );
    });
    return { state, room, fleet, registry };
  }

  test("say what they hold; the registry is read once in its time, and nobody waits for it", async () => {
    const { room, state, registry } = withList();
    expect(await room.all(signal)).toEqual(catalog);
    state.time = 4999;
    for (let at = 0; at < 10; at++) await room.all(signal);
    expect(registry.reads).toBe(1);
    expect(state.asked).toBe(0);
    state.time = 5000;
    registry.nodes = [{ ...announcedNode, models: [entry] }];
    expect(await room.all(signal)).toEqual(catalog);
    await expect.poll(() => room.all(signal)).toEqual({ models: [entry] });
    expect(registry.reads).toBe(2);
  });

  test("while the registry is away the last list stands; who is gone from it is gone", async () => {
    const { room, state, registry, fleet } = withList(["http://a"]);
    await room.all(signal);
    const urls = () => fleet.nodes().map(({ url }) => url);
    expect(urls()).toEqual(["http://a", "http://n"]);
    registry.up = false;
    await room.resolveFresh("nano", "caption", signal);
    expect(urls()).toEqual(["http://a", "http://n"]);
    expect(state.faults).toBe(1);
    registry.up = true;
    registry.nodes = [];
    await room.resolveFresh("nano", "caption", signal);
    expect(urls()).toEqual(["http://a"]);
  });

  test("one that was changed and has not said so is asked, when what it is asked for depends on it", async () => {
    const { room, state, fleet } = withList();
    await room.all(signal);
    const changed = { ...entry, model_revision: "1".repeat(16) };
    state.own.set("http://n", { models: [changed] });
    state.time = 10;
    fleet.lacks("http://n", entry.model, entry.model_revision, state.time);
    expect(await room.resolveFresh("nano", "caption", signal)).toEqual(changed);
    expect(state.asked).toBe(1);
  });

  test("one that the configuration names too is known once, as it announces itself", async () => {
    const { room, registry, fleet } = withList(["http://n"]);
    registry.nodes = [{ ...announcedNode, weight: 3 }];
    await room.all(signal);
    expect(fleet.nodes()).toMatchObject([{ url: "http://n", weight: 3, keyId: "n" }]);
  });
});
