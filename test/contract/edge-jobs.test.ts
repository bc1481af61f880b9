// Jobs through the API: made, worked off through the queue, read while they run, canceled, deleted; what an item
// meets on the way, and who sees what.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient, type Client } from "@blip2-edge/shared/client";
import type { CreateJobRequest, Job, JobResult } from "@blip2-edge/shared/contracts/jobs";
import { AppError } from "@blip2-edge/shared/problem";
import { imageRecordSchema } from "@blip2-edge/shared/contracts/images";
import type { Scope } from "@blip2-edge/shared/contracts/keys";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { jpeg } from "../support/pictures.ts";

let edge: Edge;
let ada: Client;
let adaKey: string;
const operatorKey = `b2e_operator_${"7x".repeat(16)}`;

async function keyOf(tenant: string, scopes: readonly Scope[] = ["jobs"]): Promise<string> {
  const { key } = await createApiKey();
  await edge.worker.putKey({ key, tenant, name: "test", scopes });
  return key;
}
const clientOf = (key: string) => createClient({ url: edge.url, key });

beforeAll(async () => {
  edge = await startEdge({
    vars: {
      OPERATOR_KEYS: operatorKey,
      JOB_RETRY_WAIT_MS: "50",
      JOB_CONCURRENCY: "4",
      JOB_MAX_OPEN: "3",
      JOB_ITEM_ATTEMPTS: "3",
      REQUEST_TIMEOUT_MS: "5000",
      MAX_BODY_BYTES: "262144",
      KEY_TTL_MS: "0",
    },
  });
  adaKey = await keyOf("ada");
  ada = clientOf(adaKey);
  // The catalogue is known from here on; before, all but the first of several items at once would wait for it.
  await edge.call("/v1/models");
});
afterAll(() => edge?.stop());

const base64 = async (seed: number) => (await jpeg(seed)).toString("base64");
const items = async (seeds: readonly number[]): Promise<CreateJobRequest["items"]> =>
  Promise.all(
    seeds.map(async (seed) => ({ id: `item ${seed}`, image: { base64: await base64(seed) } })),
  );

/** Waits until the job is over; the clock strikes meanwhile, as it would. */
async function over(id: string, client = ada): Promise<Job> {
  let job = await client.jobRead({ id });
  await expect
    .poll(
      async () => {
        job = await client.jobRead({ id });
        if (job.finished_at === null) await edge.worker.tick();
        return job.finished_at;
      },
      { timeout: 20_000, interval: 200 },
    )
    .not.toBeNull();
  return job;
}

async function resultsOf(id: string, limit?: number, client = ada): Promise<JobResult[]> {
  const results: JobResult[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.jobResults({ id, cursor, limit });
    results.push(...page.results);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return results;
}
const byIndex = (results: readonly JobResult[]) => results.toSorted((a, b) => a.index - b.index);

test("a job indexes many pictures, each under its id; its key needs the scope for that too", async () => {
  const asked: CreateJobRequest = {
    task: "index",
    items: await Promise.all(
      ["a", "b"].map(async (id, n) => ({
        image: { base64: await base64(8100 + n) },
        parameters: { namespace: "by-job", id, title: `number ${n}` },
      })),
    ),
  };
  await expect(ada.jobCreate(asked)).rejects.toMatchObject({ code: "forbidden" });
  const indexing = clientOf(await keyOf("ada", ["jobs", "index", "search"]));
  const bad = { ...asked, items: [{ ...asked.items[0], parameters: { namespace: "by-job" } }] };
  await expect(indexing.jobCreate(bad as CreateJobRequest)).rejects.toMatchObject({
    errors: [{ field: "items[0].parameters.id", message: "is missing" }],
  });
  const { id } = await indexing.jobCreate(asked);
  expect(await over(id, indexing)).toMatchObject({ counts: { total: 2, succeeded: 2 } });
  const records = byIndex(await resultsOf(id, undefined, indexing)).map(({ result }) =>
    imageRecordSchema.parse(result),
  );
  expect(records.map((record) => [record.id, record.title])).toEqual([
    ["a", "number 0"],
    ["b", "number 1"],
  ]);
  const { images } = await indexing.imageList({ namespace: "by-job" });
  // A job's results are read days later: links that expire are not among them.
  const linked = records.map((record) => ({ ...record, thumbnail_url: expect.any(String) }));
  expect(images).toEqual(linked);
});

test("every task is answered as by its own route, through the same cache, in bulk and on the key's account", async () => {
  const image = { base64: await base64(1) };
  const parameters = {
    caption: { prompt: "a photo of", style: "alt" },
    vqa: { questions: ["what?", "where?"] },
    match: { texts: ["an owl", "a cat"] },
    classify: { labels: ["owl", "cat"] },
    embed: { features: "query" },
  } as const;
  const made = await ada.jobCreate({
    name: "every task",
    items: Object.entries(parameters).map(([task, fields]) => ({
      ...{ image, task: task as keyof typeof parameters, parameters: fields },
    })),
  });
  expect(made).toMatchObject({ state: "queued", name: "every task", counts: { total: 5 } });
  const job = await over(made.id);
  expect(job).toMatchObject({ state: "completed", counts: { succeeded: 5, waiting: 0 } });
  const before = edge.node.inferences();
  const results = byIndex(await resultsOf(made.id));
  const infer = await keyOf("ada", ["infer"]);
  for (const { task, result, status } of results) {
    if (task === "index") throw new Error("nothing was to be indexed");
    const response = await edge.json(`/v1/${task}`, { image, ...parameters[task] }, infer);
    expect(response.headers.get("cache-status")).toBe("blip2-edge; hit");
    expect({ status, result }).toEqual({ status: "succeeded", result: await response.json() });
  }
  expect(edge.node.inferences()).toBe(before);
  // Of the caption what is said is there, and not what a screen reader says.
  expect(results[0]?.result?.["text"]).toMatch(/^[0-9A-F][0-9a-f]{7}$/);
  const asked = [...edge.node.asked, ...edge.node.askedToMatch, ...edge.node.askedToEmbed];
  expect(new Set(asked.map(({ request }) => request.priority))).toEqual(new Set(["bulk"]));
  // caption 1, vqa 2, match 2, classify 2 texts of their own, embed 1.
  const { usage } = await clientOf(operatorKey).usage({ key_id: job.key_id, tenant: "ada" });
  expect(usage).toMatchObject([{ inferences: 8, tenant: "ada" }]);
  const logged = edge.events.filter(
    ({ event, job_id: id }) => event === "job_item" && id === job.id,
  );
  expect(logged.map(({ outcome }) => outcome)).toEqual(Array(5).fill("succeeded"));
});

test("what is broken is told item by item, and the rest is done", async () => {
  const made = await ada.jobCreate({
    task: "caption",
    items: [
      { image: { base64: await base64(2) } },
      { image: { base64: "bm90IGEgcGljdHVyZQ==" } },
      { image: { image_id: `img_${"0".repeat(64)}` } },
      { image: { url: "http://127.0.0.1/secret.png" } },
      { image: { base64: "%%" } },
      { image: { base64: await base64(2) }, parameters: { model: "nobody" } },
    ],
  });
  expect(await over(made.id)).toMatchObject({
    ...{ state: "completed", counts: { succeeded: 1, failed: 5 } },
  });
  const results = byIndex(await resultsOf(made.id));
  expect(results.map(({ problem }) => problem?.code)).toEqual([
    ...[undefined, "image_not_recognised", "image_not_found", "url_refused", "invalid_request"],
    "model_not_found",
  ]);
  expect(results.every(({ attempts }) => attempts === 1)).toBe(true);
});

test("a passing fault is met by trying again; one that stays is recorded after the last attempt", async () => {
  edge.node.failNext({ kind: "problem", error: new AppError("engine_restarted", "") });
  const first = await ada.jobCreate({ task: "caption", items: await items([3]) });
  expect((await over(first.id)).counts.succeeded).toBe(1);
  expect((await resultsOf(first.id))[0]?.attempts).toBe(2);
  const faults = Array.from({ length: 3 }, () => ({
    ...{ kind: "problem" as const, error: new AppError("engine_restarted", "") },
  }));
  edge.node.failNext(...faults);
  const second = await ada.jobCreate({ task: "caption", items: await items([4]) });
  await over(second.id);
  expect(await resultsOf(second.id)).toMatchObject([
    { status: "failed", attempts: 3, problem: { code: "engine_restarted" } },
  ]);
});

test("without a node nothing is lost: the job pauses, says why, and goes on by itself", async () => {
  await edge.node.down();
  const made = await ada.jobCreate({ task: "caption", items: await items([5, 6, 7]) });
  await expect
    .poll(async () => (await ada.jobRead({ id: made.id })).paused?.code, { timeout: 10_000 })
    .toBe("node_unavailable");
  expect((await ada.jobRead({ id: made.id })).counts).toMatchObject({ failed: 0, succeeded: 0 });
  await edge.node.up();
  expect((await over(made.id)).counts.succeeded).toBe(3);
});

test("a used-up quota pauses the job, which goes on when there is more", async () => {
  const { key, id: keyId } = await clientOf(operatorKey).keyCreate({
    ...{ name: "small", tenant: "ada", scopes: ["jobs"], limits: { inferences_per_day: 2 } },
  });
  const client = clientOf(key);
  const made = await client.jobCreate({ task: "caption", items: await items([8, 9, 10]) });
  await expect
    .poll(async () => (await client.jobRead({ id: made.id })).paused?.code, { timeout: 10_000 })
    .toBe("quota_exceeded");
  await expect
    .poll(async () => (await client.jobRead({ id: made.id })).counts, { timeout: 5000 })
    .toMatchObject({ succeeded: 2, failed: 0, running: 0 });
  await clientOf(operatorKey).keyUpdate({ id: keyId, limits: { inferences_per_day: null } });
  // The pause is long: the day's quota comes back at midnight.
  await edge.worker.db.prepare("UPDATE jobs SET paused_until = 0 WHERE id = ?").bind(made.id).run();
  expect((await over(made.id)).counts.succeeded).toBe(3);
});

test("results are there while the job runs, page by page, each once; NDJSON says where to go on", async () => {
  edge.node.failNext(...Array.from({ length: 12 }, () => ({ kind: "wait" as const, ms: 400 })));
  const seeds = Array.from({ length: 12 }, (_, index) => 20 + index);
  const made = await ada.jobCreate({ task: "caption", items: await items(seeds) });
  let partial = await ada.jobResults({ id: made.id });
  await expect
    .poll(async () => (partial = await ada.jobResults({ id: made.id })).results.length, {
      timeout: 10_000,
      interval: 20,
    })
    .toBeGreaterThan(0);
  const during = await ada.jobRead({ id: made.id });
  expect(during.state).toBe("running");
  expect(partial.cursor).toBeDefined();
  await over(made.id);
  // From where the partial answer ended comes all the rest, and nothing twice.
  const rest: JobResult[] = [];
  let cursor = partial.cursor;
  while (cursor !== undefined) {
    const page = await ada.jobResults({ id: made.id, cursor, limit: 5 });
    expect(page.results.length).toBeLessThanOrEqual(5);
    rest.push(...page.results);
    cursor = page.cursor;
  }
  const all = [...partial.results, ...rest];
  expect(byIndex(all).map(({ id }) => id)).toEqual(seeds.map((seed) => `item ${seed}`));

  const lines: unknown[] = [];
  let next: string | undefined = `/v1/jobs/${made.id}/results?format=ndjson&limit=5`;
  let pages = 0;
  while (next !== undefined) {
    const response = await edge.call(next, { key: adaKey });
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    lines.push(
      ...(await response.text())
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    );
    next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1];
    pages += 1;
  }
  expect(pages).toBe(3);
  expect(lines).toEqual(await resultsOf(made.id));
});

test("a canceled job keeps what is done, breaks off what runs, and says so again when asked again", async () => {
  edge.node.failNext(...Array.from({ length: 4 }, () => ({ kind: "wait" as const, ms: 4000 })));
  const abandoned = edge.node.abandoned();
  const made = await ada.jobCreate({
    task: "caption",
    items: [{ image: { base64: await base64(20) } }, ...(await items([40, 41, 42, 43, 44, 45]))],
  });
  await expect
    .poll(async () => (await ada.jobRead({ id: made.id })).counts, { timeout: 10_000 })
    .toMatchObject({ succeeded: 1, running: 4 });
  const canceled = await ada.jobCancel({ id: made.id });
  expect(canceled).toMatchObject({ state: "canceled", counts: { succeeded: 1, canceled: 6 } });
  expect(await ada.jobCancel({ id: made.id })).toEqual(canceled);
  await expect.poll(() => edge.node.abandoned() - abandoned, { timeout: 4000 }).toBe(4);
  const results = await resultsOf(made.id);
  expect(results.map(({ status }) => status)).toEqual(["succeeded", ...Array(6).fill("canceled")]);
});

test("a key that is revoked ends its jobs", async () => {
  const { key, id: keyId } = await clientOf(operatorKey).keyCreate({
    ...{ name: "short-lived", tenant: "ada", scopes: ["jobs"] },
  });
  edge.node.failNext({ kind: "wait", ms: 4000 });
  const own = { image: { base64: await base64(50) } };
  const made = await clientOf(key).jobCreate({
    ...{ task: "caption", items: [own, ...(await items([51, 52, 53, 54, 55, 56]))] },
  });
  await clientOf(operatorKey).keyRevoke({ id: keyId });
  const job = await over(made.id);
  expect(job).toMatchObject({ state: "canceled", problem: { code: "unauthorized" } });
  expect(job.counts.canceled).toBeGreaterThan(0);
});

test("a job whose time is over ends with what it has", async () => {
  await edge.node.down();
  const made = await ada.jobCreate({ task: "caption", items: await items([57]), expires_in_s: 60 });
  await edge.worker.db.prepare("UPDATE jobs SET expires_at = 0 WHERE id = ?").bind(made.id).run();
  await edge.worker.tick();
  expect(await ada.jobRead({ id: made.id })).toMatchObject({
    ...{ state: "expired", counts: { canceled: 1 }, problem: { code: "deadline_exceeded" } },
  });
  await edge.node.up();
});

describe("deleting", () => {
  const keysOf = async (id: string) =>
    (await edge.worker.files("JOBS", `jobs/t:ada/${id}/`)).length;
  const rowsOf = async (id: string) =>
    (
      await edge.worker.db
        .prepare("SELECT count(*) AS n FROM job_items WHERE job_id = ?")
        .bind(id)
        .first<{ n: number }>()
    )?.n;

  test("leaves nothing of a job, running or over, and is answered once", async () => {
    const made = await ada.jobCreate({ task: "caption", items: await items([60, 61]) });
    await over(made.id);
    expect(await keysOf(made.id)).toBe(2);
    const deleted = await edge.call(`/v1/jobs/${made.id}`, { method: "DELETE", key: adaKey });
    expect(await deleted.json()).toEqual({ id: made.id, deleted: true });
    expect([await keysOf(made.id), await rowsOf(made.id)]).toEqual([0, 0]);
    await expect(ada.jobDelete({ id: made.id })).rejects.toMatchObject({ code: "not_found" });
    await expect(ada.jobRead({ id: made.id })).rejects.toMatchObject({ code: "not_found" });

    edge.node.failNext({ kind: "wait", ms: 500 });
    const running = await ada.jobCreate({ task: "caption", items: await items([62, 63]) });
    await expect
      .poll(async () => (await ada.jobRead({ id: running.id })).state, { timeout: 5000 })
      .toBe("running");
    await ada.jobDelete({ id: running.id });
    const ended = () =>
      edge.events.filter(
        (event) => event["job_id"] === running.id && event["event"] === "job_item",
      );
    await expect.poll(() => ended().length, { timeout: 5000 }).toBeGreaterThan(0);
    await expect.poll(() => keysOf(running.id), { timeout: 5000 }).toBe(0);
    expect(await rowsOf(running.id)).toBe(0);
  });

  test("happens by itself after the job's time", async () => {
    const made = await ada.jobCreate({ task: "caption", items: await items([64]) });
    await over(made.id);
    await edge.worker.db.prepare("UPDATE jobs SET keep_until = 1 WHERE id = ?").bind(made.id).run();
    await edge.worker.tick();
    expect([await keysOf(made.id), await rowsOf(made.id)]).toEqual([0, 0]);
  });

  test("the pictures that came with a job go when it is over", async () => {
    const made = await ada.jobCreate({ task: "caption", items: await items([65]) });
    await over(made.id);
    const names = await edge.worker.files("JOBS", `jobs/t:ada/${made.id}/`);
    expect(names.map((name) => name.split("/")[3])).toEqual(["results"]);
    const kept = () =>
      edge.worker.db.prepare("SELECT file_kept FROM jobs WHERE id = ?").bind(made.id).first();
    expect(await kept()).toEqual({ file_kept: 0 });
    // As a Worker leaves it that dies with the last item recorded.
    await edge.worker.db
      .prepare("UPDATE jobs SET file_kept = 1, finished_at = 1 WHERE id = ?")
      .bind(made.id)
      .run();
    await edge.worker.tick();
    expect(await kept()).toEqual({ file_kept: 0 });
  });
});

test("the command line follows a job to its end", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "blip2-jobs-"));
  try {
    const files = await Promise.all(
      [80, 81].map(async (seed) => {
        const file = path.join(folder, `${seed}.jpg`);
        await writeFile(file, await jpeg(seed));
        return file;
      }),
    );
    const main = path.resolve(import.meta.dirname, "../../mcp-server/src/cli/main.ts");
    const child = spawn(process.execPath, [main, "jobs", "create", "--wait", "--json", ...files], {
      env: { PATH: process.env["PATH"], BLIP2_URL: edge.url, BLIP2_API_KEY: adaKey },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const exit = new Promise<number | null>((resolve) => child.on("exit", resolve));
    const lines = (await text(child.stdout)).trimEnd().split("\n");
    expect(await exit).toBe(0);
    const results = lines.map((line) => JSON.parse(line) as JobResult);
    expect(byIndex(results).map(({ id, status }) => [id, status])).toEqual(
      files.map((file) => [file, "succeeded"]),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

describe("who may what", () => {
  test("a tenant's keys see its jobs, and no other's", async () => {
    const made = await ada.jobCreate({ task: "caption", items: await items([70]) });
    const second = clientOf(await keyOf("ada"));
    expect((await second.jobList({})).jobs[0]?.id).toBe(made.id);
    const bob = clientOf(await keyOf("bob"));
    expect((await bob.jobList({})).jobs).toEqual([]);
    for (const attempt of [
      () => bob.jobRead({ id: made.id }),
      () => bob.jobResults({ id: made.id }),
      () => bob.jobCancel({ id: made.id }),
      () => bob.jobDelete({ id: made.id }),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ code: "not_found" });
    }
    await over(made.id);
  });

  test("without the scope `jobs` there are none", async () => {
    const infer = await keyOf("ada", ["infer"]);
    const response = await edge.json("/v1/jobs", { items: [] }, infer);
    await expectProblem(response, "forbidden", "jobCreate");
  });

  test("a key of whose requests nothing is kept can have no job", async () => {
    const { key } = await clientOf(operatorKey).keyCreate({
      ...{ name: "quiet", tenant: "ada", scopes: ["jobs"], no_store: true },
    });
    const request = { task: "caption", items: await items([71]) };
    await expectProblem(await edge.json("/v1/jobs", request, key), "forbidden", "jobCreate");
  });

  test("at most so many jobs of a tenant are open", async () => {
    await edge.node.down();
    const carl = await keyOf("carl");
    const request = { task: "caption", items: await items([72]) };
    const statuses = [];
    for (let count = 0; count < 4; count++) {
      const response = await edge.json("/v1/jobs", request, carl);
      statuses.push(response.status);
      if (response.status !== 201) {
        await expectProblem(response, "too_many_jobs", "jobCreate");
        expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
      } else {
        const { id } = (await response.json()) as Job;
        expect(response.headers.get("location")).toBe(`/v1/jobs/${id}`);
      }
    }
    expect(statuses).toEqual([201, 201, 201, 429]);
    expect(await edge.worker.files("JOBS", "jobs/t:carl/")).toHaveLength(3);
    await edge.node.up();
  });
});

describe("400, 404, 405, 413 and 415", () => {
  test.each([
    ["POST", "/v1/jobs", {}, /`items` is missing/],
    ["POST", "/v1/jobs", { items: [{ image: {} }] }, /`items\[0\].image` must be one of/],
    [
      "POST",
      "/v1/jobs",
      { item: [], items: [] },
      /`item` is an unknown field.*did you mean `items`/,
    ],
    ["GET", "/v1/jobs?cursor=x", undefined, /`cursor` must be the cursor/],
    ["GET", "/v1/jobs/job_1", undefined, /`id` must be job_ and 32/],
    [
      "GET",
      `/v1/jobs/job_${"0".repeat(32)}/results?limit=101`,
      undefined,
      /`limit` must be at most/,
    ],
    [
      "GET",
      `/v1/jobs/job_${"0".repeat(32)}/results?limit=few`,
      undefined,
      /`limit` must be a number/,
    ],
    [
      "GET",
      `/v1/jobs/job_${"0".repeat(32)}/results?format=xml`,
      undefined,
      /`format` must be json or/,
    ],
  ] as const)("%s %s %j", async (method, path, body, detail) => {
    const response = await edge.call(path, {
      ...{ method, key: adaKey },
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    expect((await expectProblem(response, "invalid_request")).detail).toMatch(detail);
  });

  test("an id of nobody's, a method that is not served, a body that is too long or no JSON", async () => {
    const nobody = `/v1/jobs/job_${"0".repeat(32)}`;
    await expectProblem(await edge.call(nobody, { key: adaKey }), "not_found", "jobRead");
    const results = await edge.call(`${nobody}/results`, { key: adaKey });
    await expectProblem(results, "not_found", "jobResults");
    const canceled = await edge.call(`${nobody}/cancel`, { method: "POST", key: adaKey });
    await expectProblem(canceled, "not_found", "jobCancel");
    const deleted = await edge.call(nobody, { method: "DELETE", key: adaKey });
    await expectProblem(deleted, "not_found", "jobDelete");
    const put = await edge.call("/v1/jobs", { method: "PUT", key: adaKey });
    expect(put.headers.get("allow")).toBe("POST, GET");
    await expectProblem(put, "method_not_allowed");
    const plain = await edge.call("/v1/jobs", { method: "POST", key: adaKey, body: "x" });
    await expectProblem(plain, "unsupported_media_type", "jobCreate");
    const long = await edge.json("/v1/jobs", `{"x":"${"a".repeat(300_000)}"}`, adaKey);
    await expectProblem(long, "body_too_large", "jobCreate");
  });
});
