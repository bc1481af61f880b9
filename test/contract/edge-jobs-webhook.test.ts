// What a job's receiver is told, how it is proven, and where it may be: through the Worker, to a receiver on
// loopback that the Worker was allowed.
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient, type Client } from "@blip2-edge/shared/client";
import type { Job } from "@blip2-edge/shared/contracts/jobs";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { startHookReceiver, type Delivery, type HookReceiver } from "../support/hook-receiver.ts";
import { jpeg } from "../support/pictures.ts";

const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
let edge: Edge;
let receiver: HookReceiver;
let key: string;
let ada: Client;

beforeAll(async () => {
  receiver = await startHookReceiver();
  edge = await startEdge({
    allowFetch: [receiver.origin],
    vars: { WEBHOOK_WAITS_S: "0,0", WEBHOOK_TIMEOUT_MS: "2000", KEY_TTL_MS: "0" },
  });
  ({ key } = await createApiKey());
  await edge.worker.putKey({ key, tenant: "ada", name: "test", scopes: ["jobs"] });
  ada = createClient({ url: edge.url, key });
});
afterAll(async () => {
  await edge?.stop();
  await receiver?.stop();
});

const requestFor = async (seed: number, url = `${receiver.url}/hook?a=b`) => ({
  task: "caption" as const,
  items: [{ image: { base64: (await jpeg(seed)).toString("base64") } }],
  webhook: { url, secret },
});

/** Waits until the webhook is settled; the clock strikes meanwhile. */
async function settled(id: string): Promise<NonNullable<Job["webhook"]>> {
  let webhook: Job["webhook"];
  await expect
    .poll(
      async () => {
        ({ webhook } = await ada.jobRead({ id }));
        await edge.worker.tick();
        return webhook?.state;
      },
      { timeout: 10_000, interval: 100 },
    )
    .toMatch(/delivered|failed/);
  if (webhook === undefined) throw new Error("the job has no webhook");
  return webhook;
}
const deliveriesOf = (id: string): Delivery[] =>
  receiver.deliveries.filter(({ body }) => body.includes(id));

test("the receiver is told once, signed as Standard Webhooks has it; the secret is nowhere to be read", async () => {
  const made = await ada.jobCreate({ ...(await requestFor(1)), name: "mine" });
  expect(made.webhook).toMatchObject({ state: "waiting", attempts: 0, last_status: null });
  const webhook = await settled(made.id);
  expect(webhook).toEqual({
    ...{ url: `${receiver.url}/hook?a=b`, state: "delivered", attempts: 1 },
    ...{ next_attempt_at: null, last_status: 204 },
  });
  const [delivery, ...more] = deliveriesOf(made.id);
  if (delivery === undefined) throw new Error("nothing was delivered");
  expect([delivery.path, more]).toEqual(["/hook?a=b", []]);
  expect(delivery.headers["webhook-id"]).toBe(`msg_${made.id.slice(4)}`);
  const job = await ada.jobRead({ id: made.id });
  expect(new Webhook(secret).verify(delivery.body, delivery.headers)).toEqual({
    type: "job.completed",
    timestamp: job.finished_at,
    data: {
      ...{ id: made.id, name: "mine", state: "completed", counts: job.counts },
      ...{ created_at: job.created_at, started_at: job.started_at, finished_at: job.finished_at },
    },
  });
  const other = new Webhook(`whsec_${Buffer.alloc(32, 8).toString("base64")}`);
  expect(() => other.verify(delivery.body, delivery.headers)).toThrow("No matching signature");
  const bare = secret.slice("whsec_".length);
  const { results } = await edge.worker.db.prepare("SELECT * FROM jobs").all();
  const told = JSON.stringify([await ada.jobList({}), results, edge.lines]);
  expect(told).not.toContain(bare);
});

test("a receiver that fails is told again under the same id, with the same words", async () => {
  receiver.answerNext({ status: 500 }, { status: 302, location: `${receiver.url}/elsewhere` });
  const made = await ada.jobCreate(await requestFor(2));
  expect(await settled(made.id)).toMatchObject({ state: "delivered", attempts: 3 });
  const deliveries = deliveriesOf(made.id);
  expect(deliveries.map(({ path }) => path)).toEqual(Array(3).fill("/hook?a=b"));
  expect(new Set(deliveries.map(({ body, headers }) => headers["webhook-id"] + body)).size).toBe(1);
  for (const { body, headers } of deliveries) new Webhook(secret).verify(body, headers);
});

test.each([
  ["never says yes", [500, 503, 500], { attempts: 3, last_status: 500 }],
  ["is gone", [410], { attempts: 1, last_status: 410 }],
] as const)("a receiver that %s is given up", async (_, statuses, expected) => {
  receiver.answerNext(...statuses.map((status) => ({ status })));
  const made = await ada.jobCreate(await requestFor(3));
  expect(await settled(made.id)).toMatchObject({ state: "failed", ...expected });
});

test("a job that was canceled says so", async () => {
  await edge.node.down();
  const made = await ada.jobCreate(await requestFor(4));
  await ada.jobCancel({ id: made.id });
  await settled(made.id);
  const [delivery] = deliveriesOf(made.id);
  expect(JSON.parse(delivery?.body ?? "")).toMatchObject({
    ...{ type: "job.canceled", data: { state: "canceled", counts: { canceled: 1 } } },
  });
  await edge.node.up();
});

describe("where it may be", () => {
  test.each([
    "http://127.0.0.1:1/",
    "http://169.254.169.254/latest/meta-data",
    "http://[::ffff:10.0.0.1]/",
    "https://user:pass@example.com/",
    "ftp://example.com/",
    "http://intranet/",
    "not a url",
  ])("not at %s", async (url) => {
    const response = await edge.json("/v1/jobs", await requestFor(5, url), key);
    const problem = await expectProblem(response, "url_refused", "jobCreate");
    expect(problem.detail).not.toContain(url);
    expect(edge.lastEvent()["internal"]).toMatch(/^webhook: /);
  });

  test("not outside the key's own list, and no more once that has changed", async () => {
    const { key: limited } = await createApiKey();
    await edge.worker.putKey({ key: limited, tenant: "ada", name: "test", scopes: ["jobs"] });
    const allow = (hosts: string) =>
      edge.worker.db
        .prepare("UPDATE api_keys SET fetch_allow = ? WHERE id = ?")
        .bind(hosts, limited.slice(4, 16))
        .run();
    await allow("example.com");
    const refused = await edge.json("/v1/jobs", await requestFor(6), limited);
    await expectProblem(refused, "url_refused", "jobCreate");
    await allow(receiver.origin);
    await edge.node.down();
    const made = await createClient({ url: edge.url, key: limited }).jobCreate(await requestFor(6));
    await allow("example.com");
    await ada.jobCancel({ id: made.id });
    expect(await settled(made.id)).toMatchObject({ state: "failed", last_status: null });
    expect(deliveriesOf(made.id)).toEqual([]);
    await edge.node.up();
  });
});
