// What a key may spend, through two instances of the Worker that share every binding: rate, inferences,
// concurrency; what is counted and given back; what the answers and the log tell of it.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "@blip2-edge/shared/client";
import type { CreateKeyRequest } from "@blip2-edge/shared/contracts/keys";
import type { UsageDay } from "@blip2-edge/shared/contracts/usage";
import { AppError } from "@blip2-edge/shared/problem";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { jpeg } from "../support/pictures.ts";

const vars = {
  OPERATOR_KEYS: `b2e_operator_${"7x".repeat(16)}`,
  // Who waits for a place at the node is not refused for it, however slow the machine is.
  NODE_QUEUE_MS: "60000",
};
let edge: Edge;
beforeAll(async () => {
  edge = await startEdge({ instances: 2, vars });
});
afterAll(() => edge?.stop());

const operatorOf = ({ url }: Edge) => createClient({ url, key: vars.OPERATOR_KEYS });
const keyWith = (limits: CreateKeyRequest["limits"], at: Edge = edge) =>
  operatorOf(at).keyCreate({ name: "test", tenant: "ada", limits });
/** Embeds a text at one of the instances: an inference without a picture. */
const embed = (key: string, text: string, instance = 0, at: Edge = edge): Promise<Response> =>
  fetch(`${at.worker.urls[instance]}/v1/embed`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ text }),
  });
const usageOf = async (keyId: string, at: Edge = edge): Promise<Partial<UsageDay>> => {
  const { usage } = await operatorOf(at).usage({ key_id: keyId });
  expect(usage.length).toBeLessThanOrEqual(1);
  return usage[0] ?? {};
};
const logged = (keyId: string, field: string) =>
  edge.events
    .filter((event) => event["key_id"] === keyId)
    .reduce((sum, event) => sum + Number(event[field] ?? 0), 0);
const secondsToMidnight = () => 86_400 - (Math.floor(Date.now() / 1000) % 86_400);

test("200 parallel calls at a quota of 100, through two instances: exactly 100 are served, and the ledger is the log", async () => {
  const { key, id } = await keyWith({ inferences_per_day: 100 });
  const before = edge.node.inferences();
  const responses = await Promise.all(
    Array.from({ length: 200 }, (_, index) => embed(key, `parallel ${index}`, index % 2)),
  );
  const served = responses.filter(({ status }) => status === 200);
  const refused = responses.filter(({ status }) => status === 429);
  expect([served.length, refused.length]).toEqual([100, 100]);
  expect(edge.node.inferences() - before).toBe(100);
  for (const response of refused) {
    const problem = await expectProblem(response, "quota_exceeded", "embed");
    // The day's quota begins anew at midnight UTC, and that is what is said.
    const wait = Number(response.headers.get("retry-after"));
    expect(problem.retry_after_s).toBe(wait);
    expect(Math.abs(wait - secondsToMidnight())).toBeLessThan(30);
    expect(response.headers.get("ratelimit")).toBe(`"day";r=0;t=${wait}`);
  }
  expect(logged(id, "inferences")).toBe(100);
  expect(await usageOf(id)).toMatchObject({
    ...{ key_id: id, inferences: 100, calls: 100, refunded_calls: 0, expired_calls: 0 },
  });
});

test("a hit spends rate and no inference; what is missing is counted text by text", async () => {
  const { key, id } = await keyWith({ requests_per_minute: 5, inferences_per_day: 5 });
  const picture = await jpeg(5);
  const ask = (questions: readonly string[]) => edge.upload("/v1/vqa", picture, { questions }, key);
  const left = (response: Response) => [
    response.status,
    response.headers.get("ratelimit")?.replaceAll(/;t=\d+/g, ""),
  ];
  expect(left(await ask(["a?", "b?"]))).toEqual([200, '"rate";r=4, "day";r=3']);
  expect(left(await ask(["a?", "b?"]))).toEqual([200, '"rate";r=3']);
  expect(left(await ask(["a?", "b?", "c?"]))).toEqual([200, '"rate";r=2, "day";r=2']);
  expect((await usageOf(id)).inferences).toBe(3);
  const tooMany = await ask(["d?", "e?", "f?"]);
  expect(left(tooMany)).toEqual([429, '"day";r=2']);
  expect((await expectProblem(tooMany, "quota_exceeded", "vqa")).detail).toContain("3 inferences");
  expect(left(await ask(["a?"]))).toEqual([200, '"rate";r=0']);
  const fast = await ask(["a?"]);
  expect(left(fast)).toEqual([429, '"rate";r=0']);
  const problem = await expectProblem(fast, "rate_limited", "vqa");
  expect(problem.retry_after_s).toBeGreaterThan(50);
  expect(problem.retry_after_s).toBeLessThanOrEqual(60);
  expect(fast.headers.get("ratelimit-policy")).toBe(
    '"rate";q=5;w=60, "day";q=5;w=86400;blip2-unit="inferences"',
  );
});

test("every answer of a keyed route tells the limits, a refused one and a 304 too; without a key none does", async () => {
  const { key } = await keyWith({ requests_per_minute: 100 });
  const policy = '"rate";q=100;w=60';
  const answers = [
    await edge.call("/v1/models", { key }),
    await edge.call("/v1/usage", { key }),
    await edge.json("/v1/caption", {}, key),
    await edge.call("/v1/keys", { key }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 400, 403]);
  answers.forEach(({ headers }, index) => {
    expect(headers.get("ratelimit-policy")).toBe(policy);
    expect(headers.get("ratelimit")).toMatch(new RegExp(`^"rate";r=${99 - index};t=\\d+$`));
  });
  for (const open of [await edge.call("/healthz"), await edge.call("/v1/models", { key: "x" })]) {
    expect(open.headers.has("ratelimit-policy")).toBe(false);
  }
});

test("more than the whole quota is refused without a Retry-After", async () => {
  const { key } = await keyWith({ inferences_per_month: 1 });
  const request = { questions: ["a?", "b?"] };
  const response = await edge.upload("/v1/vqa", await jpeg(6), request, key);
  const problem = await expectProblem(response, "quota_exceeded", "vqa");
  expect(problem.detail).toContain("more than the key may have in a month");
  expect(response.headers.has("retry-after")).toBe(false);
});

describe("a failed call", () => {
  test("is given back, whatever it failed of", async () => {
    const { key, id } = await keyWith({ inferences_per_day: 1, concurrency: 1 });
    const failures = [
      { kind: "problem", error: new AppError("overloaded", "") },
      { kind: "text", status: 502, body: "<html>" },
      { kind: "json", body: { embeddings: [] } },
    ] as const;
    for (const failure of failures) {
      edge.node.failNext(failure);
      const { status } = await embed(key, `failing ${failure.kind}`);
      expect(status).toBeGreaterThanOrEqual(500);
    }
    expect((await embed(key, "at last", 1)).status).toBe(200);
    expect(await usageOf(id)).toMatchObject({ inferences: 1, calls: 1, refunded_calls: 3 });
    expect([logged(id, "inferences"), logged(id, "inferences_refunded")]).toEqual([1, 3]);
    await expectProblem(await embed(key, "one more"), "quota_exceeded", "embed");
  });
});

test("concurrency is exact over both instances, and free again with the answer", async () => {
  const { key } = await keyWith({ concurrency: 2 });
  const wait = { kind: "wait", ms: 1500 } as const;
  edge.node.failNext(wait, wait);
  const first = [embed(key, "slow 1", 0), embed(key, "slow 2", 1)];
  const asked = edge.node.askedToEmbed.length + 2;
  await expect.poll(() => edge.node.askedToEmbed.length).toBe(asked);
  const third = await embed(key, "third", 1);
  const problem = await expectProblem(third, "concurrency_exceeded", "embed");
  expect(problem.retry_after_s).toBe(1);
  expect(third.headers.get("ratelimit")).toBe('"concurrency";r=0');
  expect(third.headers.get("ratelimit-policy")).toBe('"concurrency";q=2;qu="concurrent-requests"');
  for (const { status } of await Promise.all(first)) expect(status).toBe(200);
  expect((await embed(key, "third", 1)).status).toBe(200);
});

test("usage is told by key and day; a key without admin sees its own alone", async () => {
  const [one, two] = [await keyWith({}), await keyWith({})];
  for (const { key } of [one, two, two]) await embed(key, `counted ${Math.random()}`);
  const today = new Date().toISOString().slice(0, 10);
  const { usage } = await operatorOf(edge).usage({ tenant: "ada" });
  const of = (id: string) => usage.filter((row) => row.key_id === id);
  expect(of(one.id)).toMatchObject([{ day: today, inferences: 1, name: "test", tenant: "ada" }]);
  expect(of(two.id)).toMatchObject([{ day: today, inferences: 2 }]);
  const own = createClient({ url: edge.url, key: one.key });
  expect((await own.usage({})).usage).toEqual(of(one.id));
  await expect(own.usage({ key_id: two.id })).rejects.toMatchObject({ code: "forbidden" });
  expect((await own.usage({ from: "2020-01-01", to: "2020-01-31" })).usage).toEqual([]);
});

test("what was spent is known after a restart", async () => {
  const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-quota-"));
  try {
    const first = await startEdge({ stateDir, vars });
    const { key, id } = await keyWith({ inferences_per_day: 2 }, first);
    expect((await embed(key, "before", 0, first)).status).toBe(200);
    await first.stop();
    const second = await startEdge({ stateDir, vars });
    try {
      expect((await usageOf(id, second)).inferences).toBe(1);
      expect((await embed(key, "after", 0, second)).status).toBe(200);
      await expectProblem(await embed(key, "more", 0, second), "quota_exceeded", "embed");
    } finally {
      await second.stop();
    }
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
});
