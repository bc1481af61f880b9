import type { NodeKey } from "@blip2-edge/shared/wire/heartbeat";
import { expect, test, vi } from "vitest";
import { renewedKeys } from "./renewed-keys.ts";

const key = (id: string): NodeKey => ({ id, secret: `secret of ${id}`.padEnd(32, "x") });

type Save = (keys: readonly NodeKey[]) => Promise<void>;

function setUp(save = vi.fn<Save>(() => Promise.resolve())) {
  const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() };
  const onSentAway = vi.fn();
  const renewed = renewedKeys({ keys: [key("a")], save, onSentAway, log });
  return { renewed, save, onSentAway, log, ids: () => renewed.keys().map(({ id }) => id) };
}

test("a newer key signs once it is written down; an older one goes when it is named no more", async () => {
  const { renewed, save, ids } = setUp();
  await renewed.told({ key_ids: ["a"] });
  await renewed.told({});
  expect(save).not.toHaveBeenCalled();
  await renewed.told({ key_ids: ["b", "a"], new_key: key("b") });
  expect(ids()).toEqual(["b", "a"]);
  expect(new TextDecoder().decode(renewed.keys()[0]?.secret)).toBe(key("b").secret);
  await renewed.told({ key_ids: ["b", "a"] });
  expect(save).toHaveBeenCalledTimes(1);
  await renewed.told({ key_ids: ["b"] });
  expect(ids()).toEqual(["b"]);
  expect(save.mock.calls.map(([keys]) => keys.map(({ id }) => id))).toEqual([["b", "a"], ["b"]]);
});

test("an edge that names none of them takes none away", async () => {
  const { renewed, ids } = setUp();
  await renewed.told({ key_ids: ["x"] });
  await renewed.told({ key_ids: [] });
  expect(ids()).toEqual(["a"]);
});

test("who is sent away hears of it once, whatever is said again", async () => {
  const { renewed, onSentAway, ids } = setUp();
  await renewed.told({ leave: true });
  await renewed.told({ leave: true });
  expect(onSentAway).toHaveBeenCalledTimes(1);
  expect(ids()).toEqual(["a"]);
});

test("what cannot be written down is not used, and is tried again", async () => {
  const save = vi.fn<Save>();
  save.mockRejectedValueOnce(new Error("no space"));
  const { renewed, log, ids } = setUp(save);
  const answer = { key_ids: ["b", "a"], new_key: key("b") };
  await renewed.told(answer);
  expect(ids()).toEqual(["a"]);
  expect(log.error).toHaveBeenCalledWith("keys_not_saved", { reason: "no space" });
  await renewed.told(answer);
  expect(ids()).toEqual(["b", "a"]);
});
