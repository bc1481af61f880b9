// What the contract test (test/contract/edge-heartbeats.test.ts) cannot bring about: a registry that is away or
// full, and what a heartbeat makes of a node's standing.
import { heartbeatTag, type Heartbeat } from "@blip2-edge/shared/wire/heartbeat";
import { createSigner, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { expect, test } from "vitest";
import { announcements, type RegistryCalls } from "./announcements.ts";

const keys = parseSigningKeys(`n:${"n".repeat(32)}`);
const heartbeat: Heartbeat = {
  url: "https://n.example.com",
  ...{ version: "1", started_at: 50, seq: 1, state: "ready", models: [] },
  capacity: { weight: 2, max_jobs: 10, max_work_ms: 1000 },
  load: { jobs: 0, work_ms: 0 },
};

function room(registry: Partial<RegistryCalls>) {
  const calls = {
    hear: () => Promise.reject(new Error("away")),
    list: () => Promise.reject(new Error("away")),
    ...registry,
  };
  return announcements({
    registries: { getByName: () => calls },
    keys,
    allowed: [
      { keyId: "n", protocol: "https:", host: "n.example.com", anyFirstLabel: false, port: "443" },
    ],
    everyMs: 1000,
  });
}
async function tell(registry: Partial<RegistryCalls>) {
  const url = "https://edge.example.com/internal/nodes/heartbeat";
  const body = new TextEncoder().encode(JSON.stringify(heartbeat));
  const signer = createSigner({ keys, tag: heartbeatTag });
  const signed = await signer.sign({ method: "POST", url, contentType: "application/json", body });
  const request = { method: "POST", url, headers: new Headers(signed) };
  return room(registry).hear(request, () => Promise.resolve(body));
}

test("a registry that is away, or full: a problem that says when to come back", async () => {
  await expect(tell({})).rejects.toMatchObject({ code: "registry_unavailable", retryAfterS: 1 });
  await expect(room({}).list(0)).rejects.toMatchObject({ code: "registry_unavailable" });
  await expect(tell({ hear: () => Promise.resolve("full") })).rejects.toMatchObject({
    code: "overloaded",
    retryAfterS: 60,
  });
});

test("a node is told when to speak again, and is alive until three heartbeats are missing", async () => {
  let alive = 0;
  const heard = await tell({
    hear(_, aliveMs) {
      alive = aliveMs;
      return Promise.resolve("heard");
    },
  });
  expect(heard).toEqual({ node: "https://n.example.com", answer: { next_ms: 1000 } });
  expect(alive).toBe(3500);
});

test.each([
  ["one that has room", {}, false],
  ["one whose engine is not ready", { state: "not_ready" }, true],
  ["one with nine tenths of its jobs", { load: { jobs: 9, work_ms: 0 } }, true],
  ["one with nine tenths of its work", { load: { jobs: 0, work_ms: 900 } }, true],
] as const)("%s", async (_, more, rests) => {
  const listed = {
    url: heartbeat.url,
    keyId: "n",
    agoMs: 30,
    heartbeat: { ...heartbeat, ...more },
  };
  const [facts] = await room({ list: () => Promise.resolve([listed]) }).list(1000);
  expect(facts).toEqual({
    url: heartbeat.url,
    ...{ keyId: "n", weight: 2, models: [], startedAt: 50, heardAt: 970, rests },
  });
});
