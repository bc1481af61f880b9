// Nodes that announce themselves to the Worker: who is believed, who is not, and for how long. Two isolates
// of the Worker share the registry, as in production.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "@blip2-edge/shared/client";
import { heartbeatPath, heartbeatTag, type Heartbeat } from "@blip2-edge/shared/wire/heartbeat";
import { joinPath, joinResponseSchema } from "@blip2-edge/shared/wire/join";
import { createSigner, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import type { Problem } from "@blip2-edge/shared/problem";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { startFakeNode, type FakeNode } from "../support/fake-node.ts";
import { jpeg } from "../support/pictures.ts";

const heartbeatMs = 500;
/** Three that are missing, and a half. */
const aliveMs = 3.5 * heartbeatMs;
const listMs = 50;
const operatorKey = `b2e_operator_${"6y".repeat(16)}`;

let nodes: FakeNode[];
let edge: Edge;
beforeAll(async () => {
  nodes = [await startFakeNode("one"), await startFakeNode("two")];
  const keys = nodes.flatMap(({ keys: own }) => own);
  edge = await startEdge({
    nodeUrl: "",
    // The first key is neither's: what is signed with it they refuse.
    nodeKeys: [{ id: "edge", secret: "e".repeat(40) }, ...keys],
    instances: 2,
    vars: {
      ANNOUNCE_ORIGINS: nodes.map(({ url, keys: [key] }) => `${key?.id}=${url}`).join(","),
      HEARTBEAT_MS: String(heartbeatMs),
      NODE_LIST_TTL_MS: String(listMs),
      CATALOG_TTL_MS: "100",
      OPERATOR_KEYS: operatorKey,
    },
  });
});
afterAll(async () => {
  await edge?.stop();
  for (const node of nodes ?? []) await node.stop();
});

let seq = 0;
/** When the process of each node began. */
const startedAt = [Date.now(), Date.now()];
const restart = (which: number): void => {
  startedAt[which] = (startedAt[which] ?? 0) + 1;
};
const nodeAt = (which: number): FakeNode => {
  const node = nodes[which];
  if (node === undefined) throw new Error(`no node ${which}`);
  return node;
};
const beatOf = (which: number, more: Partial<Heartbeat> = {}): Heartbeat => ({
  url: nodeAt(which).url,
  version: "0",
  started_at: startedAt[which] ?? 0,
  seq: ++seq,
  state: "ready",
  capacity: { weight: 1, max_jobs: 10, max_work_ms: 1000 },
  load: { jobs: 0, work_ms: 0 },
  models: [...nodeAt(which).catalog.models],
  ...more,
});

interface Sent {
  readonly headers: Record<string, string>;
  readonly body: string;
}
async function signed(
  which: number,
  heartbeat: unknown,
  signing: Omit<Parameters<typeof createSigner>[0], "keys"> & { readonly key?: string } = {},
): Promise<Sent> {
  const [own] = nodeAt(which).keys;
  const { key = `${own?.id}:${own?.secret}`, ...how } = signing;
  const body = typeof heartbeat === "string" ? heartbeat : JSON.stringify(heartbeat);
  const signer = createSigner({ tag: heartbeatTag, ...how, keys: parseSigningKeys(key) });
  const headers = await signer.sign({
    method: "POST",
    url: edge.url + heartbeatPath,
    contentType: "application/json",
    body: new TextEncoder().encode(body),
  });
  return { headers, body };
}
const send = ({ headers, body }: Sent, instance = 0): Promise<Response> =>
  fetch(`${edge.worker.urls[instance]}${heartbeatPath}`, { method: "POST", headers, body });
async function announce(which: number, more: Partial<Heartbeat> = {}): Promise<void> {
  const response = await send(await signed(which, beatOf(which, more)));
  expect(await response.json()).toEqual({ next_ms: heartbeatMs });
}

let picture = 9000;
interface Asking {
  readonly instance?: number;
  readonly calls?: number;
  /** Before each call, so that a slow machine makes nobody look gone who is not. */
  readonly keep: () => Promise<void>;
}
/** Asks about new pictures and tells which nodes were asked. */
async function whoAnswers({ instance = 0, calls = 8, keep }: Asking): Promise<string[]> {
  const asked = new Set<string>();
  for (let at = 0; at < calls; at++) {
    await keep();
    const data = new FormData();
    data.set("image", new Blob([new Uint8Array(await jpeg(++picture))]), "p");
    const before = nodes.map((node) => node.asked.length);
    const response = await fetch(`${edge.worker.urls[instance]}/v1/caption`, {
      method: "POST",
      headers: { authorization: `Bearer ${edge.ada}` },
      body: data,
    });
    if (response.ok) {
      nodes.forEach((node, which) => {
        if (node.asked.length > (before[which] ?? 0)) asked.add(node.keys[0]?.id ?? "");
      });
    } else {
      asked.add(((await response.json()) as Problem).code);
    }
  }
  return [...asked].toSorted();
}

const two = () => announce(1);
const both = async () => {
  for (const which of [0, 1]) await announce(which);
};
beforeEach(both);

describe("a node that announces itself", () => {
  test("is asked, in requests signed with its own key, by every isolate", async () => {
    for (const instance of [0, 1]) {
      await expect
        .poll(() => whoAnswers({ instance, keep: both }), { timeout: 10_000 })
        .toEqual(["one", "two"]);
    }
    expect(nodes.map((node) => node.refusedSignatures())).toEqual([0, 0]);
    expect(nodes.map((node) => node.catalogReads())).toEqual([0, 0]);
    await expect.poll(() => edge.lastEvent()["node"]).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  test("is gone when it says that it leaves, and is back with its next process", async () => {
    await announce(0, { state: "leaving" });
    await expect.poll(() => whoAnswers({ keep: two }), { timeout: 10_000 }).toEqual(["two"]);
    restart(0);
    await expect
      .poll(() => whoAnswers({ keep: both }), { timeout: 10_000 })
      .toEqual(["one", "two"]);
  });

  test("is gone when three heartbeats are missing", async () => {
    const since = Date.now();
    await announce(0); // its last
    let answering: string[] = [];
    while (Date.now() < since + aliveMs + 10_000) {
      answering = await whoAnswers({ calls: 6, keep: two });
      if (answering.includes("one")) continue;
      // Six pictures may all have had the other as their first choice; twenty do not.
      answering = await whoAnswers({ calls: 20, keep: two });
      if (!answering.includes("one")) break;
    }
    expect(answering).toEqual(["two"]);
    expect(Date.now() - since).toBeGreaterThan(aliveMs - heartbeatMs);
  });

  test("gets no call for a model that it does not hold", async () => {
    const keep = async () => {
      await announce(0, { models: [] });
      await announce(1);
    };
    await expect.poll(() => whoAnswers({ keep }), { timeout: 10_000 }).toEqual(["two"]);
    await expect
      .poll(() => whoAnswers({ keep: both }), { timeout: 10_000 })
      .toEqual(["one", "two"]);
  });

  test("that was taken out is back with its next heartbeat", async () => {
    await expect
      .poll(() => whoAnswers({ keep: both }), { timeout: 10_000 })
      .toEqual(["one", "two"]);
    await nodeAt(0).down();
    // Each call that finds it dead is answered by the other, until it is out.
    expect(await whoAnswers({ calls: 16, keep: two })).toEqual(["two"]);
    await nodeAt(0).up();
    await expect
      .poll(() => whoAnswers({ keep: both }), { timeout: 10_000 })
      .toEqual(["one", "two"]);
  });
});

describe("a heartbeat that is not believed", () => {
  const refusals: Record<string, () => Promise<Sent>> = {
    "one without a signature": async () => ({
      headers: { "content-type": "application/json" },
      body: JSON.stringify(beatOf(0)),
    }),
    "one of an unknown key": () => signed(0, beatOf(0), { key: `three:${"x".repeat(40)}` }),
    "one of a known key's name and another secret": () =>
      signed(0, beatOf(0), { key: `one:${"x".repeat(40)}` }),
    "one of a key that may announce nothing": () =>
      signed(0, beatOf(0), { key: `edge:${"e".repeat(40)}` }),
    "one that was changed on its way": async () => {
      const { headers, body } = await signed(0, beatOf(0));
      return { headers, body: body.replace('"weight":1', '"weight":9') };
    },
    "one that is two minutes old": () => signed(0, beatOf(0), { now: () => Date.now() - 120_000 }),
    "one from the future": () => signed(0, beatOf(0), { now: () => Date.now() + 120_000 }),
    "a request to a node, sent here": () => signed(0, beatOf(0), { tag: "blip2-edge/node" }),
    "one that comes after a later one": () => signed(0, { ...beatOf(0), seq: 1 }),
    "one of an earlier process": () =>
      signed(0, beatOf(0, { started_at: (startedAt[0] ?? 0) - 1000 })),
  };
  test.each(Object.keys(refusals))("%s", async (name) => {
    const response = await send(await (refusals[name] as () => Promise<Sent>)());
    const problem = await expectProblem(response, "signature_invalid");
    // Nothing tells one refusal from another.
    expect(Object.keys(problem).toSorted()).toEqual([
      "code",
      "retryable",
      "status",
      "title",
      "type",
    ]);
    // The log has the reason.
    const id = response.headers.get("x-request-id");
    const logged = () => edge.events.find((event) => event["request_id"] === id)?.["internal"];
    await expect.poll(logged).toEqual(expect.any(String));
  });

  test("one that was heard already, by this isolate or by another", async () => {
    const sent = await signed(0, beatOf(0));
    expect((await send(sent)).status).toBe(200);
    for (const instance of [0, 1]) {
      await expectProblem(await send(sent, instance), "signature_invalid");
    }
  });

  test("one that announces what its key may not: told, since it has signed", async () => {
    for (const url of [nodeAt(1).url, "http://169.254.169.254", `${nodeAt(0).url}/path`]) {
      const response = await send(await signed(0, beatOf(0, { url })));
      const { detail } = await expectProblem(response, "forbidden");
      expect(detail).toContain(`The key one may not announce ${url}`);
    }
  });

  test("one that is none: told what is wrong", async () => {
    await expectProblem(await send(await signed(0, "{")), "invalid_request");
    const { capacity: _, ...without } = beatOf(0);
    const problem = await expectProblem(await send(await signed(0, without)), "invalid_request");
    expect(problem.errors?.map(({ field }) => field)).toEqual(["capacity"]);
    const large = { ...beatOf(0), more: "x".repeat(200_000) };
    await expectProblem(await send(await signed(0, large)), "body_too_large");
  });
});

describe("a node that joins", () => {
  const operator = () => createClient({ url: edge.url, key: operatorKey });
  const origin = "http://127.0.0.1:*";
  const url = "http://127.0.0.1:9";
  const proof = "0".repeat(64);
  const give = (token: string, given = proof, instance = 0): Promise<Response> =>
    fetch(`${edge.worker.urls[instance]}${joinPath}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token, proof: given }),
    });
  async function joined(name: string) {
    const { token } = await operator().nodeTokenCreate({ name, origin });
    const response = await give(token);
    expect(response.status).toBe(201);
    return { token, ...joinResponseSchema.parse(await response.json()) };
  }
  const beat = async (key: { readonly id: string; readonly secret: string }, instance = 0) =>
    send(
      await signed(0, beatOf(0, { url, models: [] }), { key: `${key.id}:${key.secret}` }),
      instance,
    );
  const named = async (name: string) =>
    (await operator().nodeList()).nodes.find((node) => node.name === name);

  test("gets a key for its token, once, and every isolate knows it by that; neither is in the log", async () => {
    const { token, name, key } = await joined("gpu-1");
    expect(name).toBe("gpu-1");
    // The answer may have been lost: who has the proof gets it again, of any isolate.
    expect(joinResponseSchema.parse(await (await give(token, proof, 1)).json()).key).toEqual(key);
    await expectProblem(await give(token, "1".repeat(64), 1), "forbidden");
    for (const instance of [0, 1]) {
      const answer = await (await beat(key, instance)).json();
      expect(answer).toEqual({ next_ms: heartbeatMs, key_ids: [key.id] });
    }
    expect(await named("gpu-1")).toMatchObject({
      ...{ by: "token", origin, url, key_id: key.id, state: "ready", models: [] },
    });
    for (const secret of [token.slice("b2e_join_".length), key.secret]) {
      expect(edge.lines.filter((line) => line.includes(secret))).toEqual([]);
    }
  });

  test("gets a newer key with a heartbeat; the old one ends when the operator says so", async () => {
    const { key } = await joined("gpu-1");
    await beat(key);
    const rotated = await operator().nodeRotate({ name: "gpu-1", overlap_s: 0 });
    const newest = rotated.key_ids[0] ?? "";
    const told = (await (await beat(key)).json()) as { readonly new_key: typeof key };
    expect(told).toMatchObject({ key_ids: [newest, key.id], new_key: { id: newest } });
    expect(await (await beat(told.new_key, 1)).json()).toEqual({
      ...{ next_ms: heartbeatMs, key_ids: [newest] },
    });
    await expectProblem(await beat(key), "signature_invalid");
    expect((await named("gpu-1"))?.key_id).toBe(newest);
  });

  test("is told to leave when it was sent away, and is listed no more", async () => {
    const { key } = await joined("gpu-1");
    await beat(key);
    await operator().nodeRemove({ name: "gpu-1" });
    expect(await (await beat(key, 1)).json()).toEqual({ next_ms: heartbeatMs, leave: true });
    expect(await named("gpu-1")).toBeUndefined();
    await expect(operator().nodeRemove({ name: "gpu-1" })).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(operator().nodeRotate({ name: "gpu-1" })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("a token that is none, or was replaced by another; an origin that is none", async () => {
    const { token } = await operator().nodeTokenCreate({ name: "gpu-2", origin });
    await operator().nodeTokenCreate({ name: "gpu-2", origin });
    await expectProblem(await give(token), "forbidden");
    const last = token.endsWith("0") ? "1" : "0";
    await expectProblem(await give(token.slice(0, -1) + last), "forbidden");
    await expectProblem(await give("b2e_join_0"), "invalid_request");
    for (const wrong of ["ftp://x", "https://x/path", "https://u:p@x", "https://*", "x"]) {
      const refused = operator().nodeTokenCreate({ name: "gpu-2", origin: wrong });
      await expect(refused).rejects.toMatchObject({ code: "invalid_request" });
    }
  });

  test("is the operator's business alone, whatever a tenant's admin may do", async () => {
    const admin = await operator().keyCreate({ name: "a", tenant: "ada", scopes: ["admin"] });
    const client = createClient({ url: edge.url, key: admin.key });
    for (const attempt of [
      () => client.nodeList(),
      () => client.nodeTokenCreate({ name: "gpu-3", origin }),
      () => client.nodeRotate({ name: "gpu-1" }),
      () => client.nodeRemove({ name: "gpu-1" }),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ code: "forbidden" });
    }
  });
});

test("where nobody may announce, nobody is believed", async () => {
  const closed = await startEdge();
  try {
    const { headers, body } = await signed(0, beatOf(0));
    const response = await fetch(closed.url + heartbeatPath, { method: "POST", headers, body });
    await expectProblem(response, "signature_invalid");
    expect((await fetch(closed.url + heartbeatPath)).status).toBe(405);
  } finally {
    await closed.stop();
  }
});
