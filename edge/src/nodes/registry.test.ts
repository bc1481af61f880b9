import type { Heartbeat } from "@blip2-edge/shared/wire/heartbeat";
import { expect, test } from "vitest";
import { memorySql } from "../../../test/support/sqlite.ts";
import { createRegistry } from "./registry.ts";

const aliveMs = 1000;
let seq = 0;
const beat = (url: string): Heartbeat => ({
  ...{ url, version: "1", started_at: 1, seq: ++seq, state: "ready", models: [] },
  capacity: { weight: 1, max_jobs: 10, max_work_ms: 1000 },
  load: { jobs: 0, work_ms: 0 },
});

/** A registry with a clock that is set, and a node that has joined as `gpu-1` with the key `gpu-1.a`. */
function setUp(origin = "https://gpu-1.example.com") {
  const clock = { now: 0 };
  const registry = createRegistry(memorySql(), () => clock.now);
  const join = (name: string, suffix: string, at = origin) => {
    const tokenId = `${name} ${suffix}`;
    registry.offer({ tokenId, name, origin: at }, 60_000);
    return registry.join({ tokenId, proof: "p", suffix });
  };
  join("gpu-1", "a");
  const hear = (keyId: string, url = origin) =>
    registry.hearMember({ keyId, heartbeat: beat(url) }, aliveMs);
  const listed = () => registry.list().map(({ url, keyId }) => `${url} ${keyId}`);
  return { clock, registry, join, hear, listed };
}

test("who has joined is heard at its origin, and nowhere else; who has not, nowhere", () => {
  const { hear, listed } = setUp();
  expect(hear("gpu-1.b")).toEqual({ kind: "unknown" });
  expect(hear("gpu-1.a", "https://evil.example.com")).toEqual({
    kind: "elsewhere",
    origin: "https://gpu-1.example.com",
  });
  expect(listed()).toEqual([]);
  expect(hear("gpu-1.a")).toEqual({
    kind: "heard",
    url: "https://gpu-1.example.com",
    keyIds: ["gpu-1.a"],
  });
  expect(listed()).toEqual(["https://gpu-1.example.com gpu-1.a"]);
});

test("nobody is heard where another one is alive, whatever a star allows", () => {
  const { clock, hear, join, listed } = setUp("https://*.example.com");
  join("gpu-2", "a", "https://*.example.com");
  expect(hear("gpu-1.a", "https://x.example.com").kind).toBe("heard");
  expect(hear("gpu-2.a", "https://x.example.com").kind).toBe("elsewhere");
  expect(listed()).toEqual(["https://x.example.com gpu-1.a"]);
  clock.now = aliveMs;
  expect(hear("gpu-2.a", "https://x.example.com").kind).toBe("heard");
});

test("a new key: told with the next heartbeat, and the old one ends its time after the first that the new one signs", () => {
  const { clock, registry, hear, listed } = setUp();
  hear("gpu-1.a");
  registry.rotate("gpu-1", "b", 5000);
  expect(hear("gpu-1.a")).toMatchObject({ keyIds: ["gpu-1.b", "gpu-1.a"] });
  clock.now = 100;
  expect(hear("gpu-1.b")).toMatchObject({ keyIds: ["gpu-1.b", "gpu-1.a"] });
  expect(listed()).toEqual(["https://gpu-1.example.com gpu-1.b"]);
  clock.now = 5100;
  expect(hear("gpu-1.b")).toMatchObject({ keyIds: ["gpu-1.b"] });
  expect(hear("gpu-1.a")).toEqual({ kind: "unknown" });
});

test("who is sent away, or replaced, is listed no more", () => {
  const { registry, hear, join, listed } = setUp();
  hear("gpu-1.a");
  join("gpu-1", "b");
  expect(listed()).toEqual([]);
  expect(hear("gpu-1.a")).toEqual({ kind: "unknown" });
  hear("gpu-1.b");
  registry.remove("gpu-1");
  expect(listed()).toEqual([]);
  expect(hear("gpu-1.b")).toEqual({ kind: "sent_away" });
  expect(registry.everyone()).toEqual({ members: [], known: [] });
});
