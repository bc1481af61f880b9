// What many want at the same time is inferred once, through two instances of the Worker that share their
// bindings; and nobody hangs when who does it does not come to an end.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "@blip2-edge/shared/client";
import { AppError } from "@blip2-edge/shared/problem";
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { generationKey } from "../../edge/src/cache/keys.ts";
import { resultCache } from "../../edge/src/cache/results.ts";
import { fakeModel } from "../support/fake-node.ts";
import { costOf, expectProblem, hit, startEdge, type Edge } from "../support/edge.ts";
import { memoryTiers, nothingPurged } from "../support/memory-tiers.ts";
import { png } from "../support/pictures.ts";

const operator = `b2e_operator_${"7x".repeat(16)}`;
let edge: Edge;
let seed = 110_000;
beforeAll(async () => {
  edge = await startEdge({
    instances: 2,
    vars: {
      ...{ OPERATOR_KEYS: operator, REQUEST_TIMEOUT_MS: "20000" },
      // A thousand uploads at the same time wait for each other's memory for longer than one would.
      PICTURE_WAIT_MS: "20000",
    },
  });
});
afterAll(() => edge?.stop());
beforeEach(() => {
  seed += 10;
});

/** Asks an instance about a picture that is known by its id. */
const askById = (instance: number, body: object, key = edge.ada): Promise<Response> =>
  fetch(`${edge.worker.urls[instance % 2]}/v1/caption`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
async function known(key = edge.ada): Promise<{ readonly image_id: string }> {
  const response = await edge.upload("/v1/caption", await png(seed), undefined, key);
  const { image_id } = (await response.json()) as { image_id: string };
  return { image_id };
}
const many = (count: number, ask: (index: number) => Promise<Response>) =>
  Promise.all(Array.from({ length: count }, (_, index) => ask(index)));
/** How often each value of a header comes. */
const tally = (responses: readonly Response[], header: string) => {
  const counts: Record<string, number> = {};
  for (const { headers } of responses) {
    const value = headers.get(header) ?? "none";
    counts[value] = (counts[value] ?? 0) + 1;
  }
  return counts;
};
const spentBy = async (keyId: string): Promise<number> => {
  const { usage } = await createClient({ url: edge.url, key: operator }).usage({ key_id: keyId });
  return usage.reduce((sum, { inferences }) => sum + inferences, 0);
};

test("a thousand identical requests at the same time, through both instances: one inference, one answer, one unit", async () => {
  const admin = createClient({ url: edge.url, key: operator });
  const { key, id } = await admin.keyCreate({ name: "herd", tenant: "ada" });
  const image = await known();
  const before = edge.node.inferences();
  edge.node.failNext({ kind: "wait", ms: 3000 });
  const responses = await many(1000, (index) =>
    askById(index, { image, prompt: "a thousand" }, key),
  );
  const bodies = new Set(await Promise.all(responses.map((response) => response.text())));
  expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
  expect(bodies.size).toBe(1);
  expect(edge.node.inferences() - before).toBe(1);
  expect(await spentBy(id)).toBe(1);
  const served = tally(responses, "blip2-served");
  expect(served["live"]).toBe(1);
  expect(served["shared"]).toBeGreaterThan(500);
  expect((served["shared"] ?? 0) + (served["cache"] ?? 0)).toBe(999);
  const statuses = tally(responses, "cache-status");
  expect(statuses["blip2-edge; fwd=miss; collapsed"]).toBe(served["shared"]);
  // Both instances had their part in it.
  expect(await costOf(edge, () => askById(0, { image, prompt: "a thousand" }))).toMatchObject(hit);
});

test("so are uploads, whose pictures are each decoded, and questions in several texts", async () => {
  const file = await png(seed);
  const before = edge.node.inferences();
  edge.node.failNext({ kind: "wait", ms: 1500 });
  const request = { questions: ["a?", "b?", "a?"] };
  const responses = await many(60, () => edge.upload("/v1/vqa", file, request));
  expect(new Set(await Promise.all(responses.map((response) => response.text()))).size).toBe(1);
  expect(edge.node.inferences() - before).toBe(2);
});

test("whoever leads or follows, a stream and an answer in one piece say the same", async () => {
  const image = await known();
  const before = edge.node.inferences();
  edge.node.failNext({ kind: "wait", ms: 600 });
  const responses = await many(6, (index) =>
    askById(index, { image, prompt: "streamed", ...(index % 2 === 0 ? { stream: true } : {}) }),
  );
  const bodies = await Promise.all(responses.map((response) => response.text()));
  const { text } = JSON.parse(bodies[1] ?? "") as { text: string };
  for (const body of bodies) expect(body).toContain(text);
  expect(tally(responses, "content-type")).toEqual({
    "application/json": 3,
    "text/event-stream": 3,
  });
  expect(edge.node.inferences() - before).toBe(1);
});

test("another tenant's request for the same private picture is work of its own", async () => {
  const adas = await known(edge.ada);
  await known(edge.bob);
  const before = edge.node.inferences();
  edge.node.failNext({ kind: "wait", ms: 400 }, { kind: "wait", ms: 400 });
  const responses = await Promise.all(
    [edge.ada, edge.bob].map((key) => askById(0, { image: adas, prompt: "whose" }, key)),
  );
  expect(tally(responses, "blip2-served")).toEqual({ live: 2 });
  expect(edge.node.inferences() - before).toBe(2);
});

describe("the leader", () => {
  test("that is dead is given up when its lease ends; another takes over, once", async () => {
    const image = await known();
    const generation = { ...resolveGeneration({}) };
    const text = "dead leader";
    const modelRevision = fakeModel.model_revision;
    const rooms = resultCache({ tiers: memoryTiers().tiers, purges: nothingPurged, at: 0 });
    const place = await rooms.placeOf(
      ["t:ada"],
      [generationKey({ imageId: image.image_id, modelRevision, text, generation })],
    );
    const leaseMs = 900;
    const lease = await edge.worker.workLease(place.key);
    const dead = { ticket: "dead", keyId: "x", at: Date.now(), newerThan: -1, leaseMs };
    expect(await lease.join(dead)).toMatchObject({ kind: "lead" });
    const before = edge.node.inferences();
    const begun = Date.now();
    const responses = await many(50, (index) => askById(index, { image, prompt: text }));
    expect(tally(responses, "blip2-served")).toEqual({ live: 1, shared: 49 });
    expect(edge.node.inferences() - before).toBe(1);
    const tookMs = Date.now() - begun;
    expect(tookMs).toBeGreaterThan(leaseMs / 2);
    expect(tookMs).toBeLessThan(10 * leaseMs);
  });

  test("whose node breaks down takes everyone with it, at once and with a problem that may be retried", async () => {
    const image = await known();
    const error = new AppError("engine_restarted", "");
    edge.node.failNext({ kind: "problem", error, afterMs: 500 });
    const asked = edge.node.asked.length;
    const responses = await many(20, (index) => askById(index, { image, prompt: "broken" }));
    for (const response of responses) {
      const problem = await expectProblem(response, "engine_restarted", "caption");
      expect(problem.retryable).toBe(true);
    }
    expect(edge.node.asked.length - asked).toBe(1);
    // Nothing of it stays.
    const again = await costOf(edge, () => askById(0, { image, prompt: "broken" }));
    expect(again).toMatchObject({ cost: 1 });
  });

  test("whose key may not spend is followed by one whose key may", async () => {
    const admin = createClient({ url: edge.url, key: operator });
    const { key: poor } = await admin.keyCreate({
      ...{ name: "poor", tenant: "ada", limits: { inferences_per_day: 1 } },
    });
    const image = await known();
    await askById(0, { image, prompt: "spent" }, poor);
    const responses = await Promise.all([
      ...Array.from({ length: 5 }, () => askById(0, { image, prompt: "quota" }, poor)),
      ...Array.from({ length: 5 }, () => askById(1, { image, prompt: "quota" })),
    ]);
    const rich = responses.slice(5);
    expect(rich.map(({ status }) => status)).toEqual(Array(5).fill(200));
    expect(tally(rich, "blip2-served")["live"]).toBe(1);
    for (const response of responses.slice(0, 5)) expect([200, 429]).toContain(response.status);
  });
});
