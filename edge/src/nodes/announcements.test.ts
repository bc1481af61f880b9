// What the contract test (test/contract/edge-heartbeats.test.ts) cannot bring about: a registry that is away or
// full, and what a heartbeat makes of a node's standing.
import { heartbeatTag, type Heartbeat } from "@blip2-edge/shared/wire/heartbeat";
import { createSigner, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { describe, expect, test } from "vitest";
import { announcements } from "./announcements.ts";
import { joinedKeys } from "./joined-keys.ts";
import { registryAsker } from "./registries.ts";
import type { HeardMember, RegistryCalls } from "./registry.ts";

const keys = parseSigningKeys(`n:${"n".repeat(32)}`);
const heartbeat: Heartbeat = {
  url: "https://n.example.com",
  ...{ version: "1", started_at: 50, seq: 1, state: "ready", models: [] },
  capacity: { weight: 2, max_jobs: 10, max_work_ms: 1000 },
  load: { jobs: 0, work_ms: 0 },
};

const away = () => Promise.reject(new Error("away"));
const joined = joinedKeys("s".repeat(32));
function room(registry: Partial<RegistryCalls>) {
  const none = { hear: away, list: away, hearMember: away, offer: away, join: away };
  const calls = { ...none, rotate: away, remove: away, everyone: away, ...registry };
  return announcements({
    askRegistry: registryAsker({ getByName: () => calls }),
    joined,
    keys,
    allowed: [
      { keyId: "n", protocol: "https:", host: "n.example.com", anyFirstLabel: false, port: "443" },
    ],
    everyMs: 1000,
  });
}
async function tell(registry: Partial<RegistryCalls>, signing = keys) {
  const url = "https://edge.example.com/internal/nodes/heartbeat";
  const body = new TextEncoder().encode(JSON.stringify(heartbeat));
  const signer = createSigner({ keys: signing, tag: heartbeatTag });
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

describe("a node that joined", () => {
  const [old, newest] = ["gpu-1.000000000000", "gpu-1.ffffffffffff"] as const;
  const keyOf = async (id: string) => [
    (await joined.find(id)) ?? { id, secret: new Uint8Array(32) },
  ];
  const told = async (answer: HeardMember, keyId: string = old) => {
    const said: string[] = [];
    const hearMember: RegistryCalls["hearMember"] = ({ keyId: by }) => {
      said.push(by);
      return Promise.resolve(answer);
    };
    return { said, ...(await tell({ hearMember }, await keyOf(keyId))) };
  };
  const url = "https://gpu-1.example.com";

  test("is known by a key that is derived, and told which of its keys hold", async () => {
    expect(await told({ kind: "heard", url, keyIds: [old] })).toEqual({
      said: [old],
      node: url,
      answer: { next_ms: 1000, key_ids: [old] },
    });
  });

  test("is told a newer key as long as an older one signs", async () => {
    const keyIds = [newest, old] as const;
    const new_key = { id: newest, secret: await joined.secretOf(newest) };
    expect((await told({ kind: "heard", url, keyIds })).answer).toEqual({
      ...{ next_ms: 1000, key_ids: [newest, old], new_key },
    });
    expect((await told({ kind: "heard", url, keyIds }, newest)).answer).toEqual({
      ...{ next_ms: 1000, key_ids: [newest, old] },
    });
  });

  test("is told to leave once it was sent away", async () => {
    expect((await told({ kind: "sent_away" })).answer).toEqual({ next_ms: 1000, leave: true });
  });

  test.each([
    [{ kind: "unknown" }, "signature_invalid"],
    [{ kind: "stale" }, "signature_invalid"],
    [{ kind: "full" }, "overloaded"],
    [{ kind: "elsewhere", origin: url }, "forbidden"],
  ] as const)("%j is %s", async (answer, code) => {
    await expect(told(answer)).rejects.toMatchObject({ code });
  });

  test("whoever signs with another secret is not even told to the registry", async () => {
    let calls = 0;
    const hearMember = () => {
      calls += 1;
      return Promise.resolve({ kind: "unknown" } as const);
    };
    const stranger = parseSigningKeys(`${old}:${"x".repeat(64)}`);
    await expect(tell({ hearMember }, stranger)).rejects.toMatchObject({
      code: "signature_invalid",
    });
    expect(calls).toBe(0);
  });
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
