// Idempotency-Key on every POST that makes something, through two instances of the Worker.
import { afterAll, beforeAll, expect, test } from "vitest";
import { routeList } from "@blip2-edge/shared/routes";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { jpeg } from "../support/pictures.ts";

let edge: Edge;
let ada: string;
let bob: string;

beforeAll(async () => {
  edge = await startEdge({ instances: 2 });
  const keyOf = async (tenant: string) => {
    const { key } = await createApiKey();
    await edge.worker.putKey({ key, tenant, name: "test", scopes: ["jobs", "admin"] });
    return key;
  };
  [ada, bob] = [await keyOf("ada"), await keyOf("bob")];
});
afterAll(() => edge?.stop());

const send = (
  path: string,
  body: unknown,
  {
    idempotencyKey,
    key = ada,
    instance = 0,
  }: {
    readonly idempotencyKey?: string;
    readonly key?: string;
    readonly instance?: number;
  },
): Promise<Response> =>
  fetch(`${edge.worker.urls[instance]}${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }),
    },
    body: JSON.stringify(body),
  });
const jobOf = async (seed: number) => ({
  task: "caption",
  items: [{ image: { base64: (await jpeg(seed)).toString("base64") } }],
});
const countOf = async (table: string, where: string) =>
  (
    await edge.worker.db
      .prepare(`SELECT count(*) AS n FROM ${table} WHERE ${where}`)
      .first<{ n: number }>()
  )?.n;

test("a job that is asked for again, here or at another instance, is the same job, byte by byte", async () => {
  const job = await jobOf(1);
  const first = await send("/v1/jobs", job, { idempotencyKey: '"one"' });
  const again = await send("/v1/jobs", job, { idempotencyKey: '"one"', instance: 1 });
  expect([first.status, again.status]).toEqual([201, 201]);
  expect(await again.text()).toBe(await first.text());
  for (const name of ["location", "content-type", "cache-control"]) {
    expect(again.headers.get(name)).toBe(first.headers.get(name));
  }
  expect([first, again].map(({ headers }) => headers.get("idempotent-replayed"))).toEqual([
    null,
    "true",
  ]);
  expect(again.headers.get("x-request-id")).not.toBe(first.headers.get("x-request-id"));
  expect(await countOf("jobs", "tenant = 'ada'")).toBe(1);
});

test("of many at the same moment one makes the job, and the others wait or get it", async () => {
  const job = await jobOf(2);
  const responses = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      send("/v1/jobs", job, { idempotencyKey: "two", instance: index % 2 }),
    ),
  );
  const ids = new Set<string>();
  for (const response of responses) {
    if (response.status === 201) ids.add(((await response.json()) as { id: string }).id);
    else {
      await expectProblem(response, "idempotency_in_progress", "jobCreate");
      expect(response.headers.get("retry-after")).toBe("1");
    }
  }
  expect(ids.size).toBe(1);
  expect(await countOf("jobs", "tenant = 'ada'")).toBe(2);
});

test("another request under the key is refused, and so is a text that is no key", async () => {
  await send("/v1/jobs", await jobOf(3), { idempotencyKey: "three" });
  const other = await send("/v1/jobs", await jobOf(4), { idempotencyKey: "three" });
  await expectProblem(other, "idempotency_key_reused", "jobCreate");
  const elsewhere = await send("/v1/keys", { name: "a" }, { idempotencyKey: "three" });
  await expectProblem(elsewhere, "idempotency_key_reused", "keyCreate");
  const text = await send("/v1/keys", { name: "a" }, { idempotencyKey: "three four" });
  const problem = await expectProblem(text, "invalid_request", "keyCreate");
  expect(problem.errors).toMatchObject([{ field: "Idempotency-Key" }]);
});

test("a key is made once, its secret given again, and the secret is stored nowhere in clear", async () => {
  const first = await send("/v1/keys", { name: "once" }, { idempotencyKey: "five" });
  const made = (await first.json()) as { key: string; id: string };
  const again = await send("/v1/keys", { name: "once" }, { idempotencyKey: "five" });
  expect(await again.json()).toEqual(made);
  expect(await countOf("api_keys", "name = 'once'")).toBe(1);
  const { results } = await edge.worker.db.prepare("SELECT * FROM idempotent_requests").all();
  expect(JSON.stringify([results, edge.lines])).not.toContain(made.key.slice(17));
  // Of another tenant it is another key.
  const theirs = await send("/v1/keys", { name: "once" }, { idempotencyKey: "five", key: bob });
  expect(((await theirs.json()) as { id: string }).id).not.toBe(made.id);

  const rotate = `/v1/keys/${made.id}/rotate`;
  const rotated = await send(rotate, { overlap_s: 0 }, { idempotencyKey: "six" });
  const rotatedAgain = await send(rotate, { overlap_s: 0 }, { idempotencyKey: "six" });
  const secret = await rotated.text();
  expect(await rotatedAgain.text()).toBe(secret);
  expect(secret).not.toContain(made.key);
});

test("what was refused is not remembered", async () => {
  const bad = await send("/v1/jobs", { items: [] }, { idempotencyKey: "seven" });
  await expectProblem(bad, "invalid_request", "jobCreate");
  expect((await send("/v1/jobs", await jobOf(7), { idempotencyKey: "seven" })).status).toBe(201);
});

test("the table of routes names every route that makes something", () => {
  const makers = routeList.filter(({ makesOnce }) => makesOnce === true).map(({ id }) => id);
  expect(makers).toEqual([
    "jobCreate",
    "connectionCreate",
    "backfillCreate",
    "keyCreate",
    "keyRotate",
  ]);
});
