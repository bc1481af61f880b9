import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Job, JobResult } from "@blip2-edge/shared/contracts/jobs";
import { jobs } from "./jobs.ts";

const folder = await mkdtemp(path.join(os.tmpdir(), "blip2-cli-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

const id = `job_${"0".repeat(31)}1`;
const secret = `whsec_${Buffer.alloc(32).toString("base64")}`;
const at = "2030-01-01T00:00:00.000Z";
const job = (counts: Partial<Job["counts"]> = {}, more: Partial<Job> = {}): Job => ({
  ...{ id, state: "running", key_id: "k", created_at: at, started_at: at, finished_at: null },
  ...{ expires_at: at, results_until: null },
  counts: {
    ...{ total: 2, waiting: 0, running: 0, succeeded: 0, failed: 0, canceled: 0 },
    ...counts,
  },
  ...more,
});
const result = (index: number, more: Partial<JobResult> = {}): JobResult => ({
  ...{ index, task: "caption", status: "succeeded", attempts: 1, finished_at: at },
  result: { text: `text ${index}` },
  ...more,
});

/** Runs the command against scripted answers; tells what it said and asked. */
async function run(
  args: readonly string[],
  answer: (request: { method: string; path: string }) => unknown = () => job(),
  env: Record<string, string> = {},
) {
  const requests: { method: string; path: string; body: unknown }[] = [];
  const [out, err]: [string[], string[]] = [[], []];
  const status = await jobs(args, {
    stdout: (line) => void out.push(line),
    write: (text) => void out.push(text),
    stderr: (line) => void err.push(line),
    signal: new AbortController().signal,
    env: { BLIP2_API_KEY: "key", BLIP2_URL: "https://edge.example", ...env },
    stdin: () => Promise.resolve('{"image":{"url":"https://a.example/in.png"}}\n'),
    sleep: () => Promise.resolve(),
    async fetch(input, init) {
      const request = new Request(input, init);
      const text = await request.clone().text();
      const { pathname, search } = new URL(request.url);
      const asked = { method: request.method, path: pathname + search };
      requests.push({ ...asked, body: text === "" ? undefined : JSON.parse(text) });
      return Response.json(answer(asked));
    },
  });
  return { status, requests, out, err };
}

describe("create", () => {
  test("pictures become items: files as base64, addresses and ids as they are", async () => {
    const file = path.join(folder, "a.png");
    await writeFile(file, "picture");
    const imageId = `img_${"a".repeat(64)}`;
    const pictures = [file, "https://a.example/b.png", imageId];
    const { status, requests, out } = await run(["create", "--name", "n", ...pictures]);
    expect(requests).toEqual([
      {
        ...{ method: "POST", path: "/v1/jobs" },
        body: {
          ...{ name: "n", task: "caption" },
          items: [
            { id: file, image: { base64: Buffer.from("picture").toString("base64") } },
            { id: pictures[1], image: { url: pictures[1] } },
            { id: imageId, image: { image_id: imageId } },
          ],
        },
      },
    ]);
    expect([status, out]).toEqual([0, [`${id}  running    0 of 2, 0 failed  ${at}`]]);
  });

  test("items come line by line, from a file or standard input, with the job's task and parameters", async () => {
    const file = path.join(folder, "items.ndjson");
    const item = { id: "x", image: { url: "https://a.example/x.png" } };
    await writeFile(file, `${JSON.stringify(item)}\n\n${JSON.stringify({ ...item, id: "y" })}\n`);
    const flags = ["--task", "classify", "--parameters", '{"labels":["owl"]}', "--json"];
    const hook = ["--webhook", "https://a.example/done", "--expires-in", "600"];
    const { requests, out } = await run(
      ["create", "--items", file, ...flags, ...hook],
      () => job(),
      { BLIP2_WEBHOOK_SECRET: secret },
    );
    expect(requests[0]?.body).toEqual({
      ...{ task: "classify", parameters: { labels: ["owl"] }, expires_in_s: 600 },
      items: [item, { ...item, id: "y" }],
      webhook: { url: "https://a.example/done", secret },
    });
    expect(out.map((line) => JSON.parse(line) as unknown)).toEqual([job()]);
    const piped = await run(["create", "--items", "-", "--task", "embed"]);
    expect(piped.requests[0]?.body).toMatchObject({
      items: [{ image: { url: "https://a.example/in.png" } }],
    });
  });

  test("--wait writes results as they come and fails when an item failed", async () => {
    const failed = result(0, {
      ...{ status: "failed", id: "a", result: undefined },
      problem: {
        ...{ type: "t", title: "Broken", status: 422, code: "image_corrupt", retryable: false },
        detail: "It is broken.",
      },
    });
    const pages: Record<string, unknown> = {
      "": { results: [result(1)], cursor: "1" },
      "?cursor=1": { results: [], cursor: "1" },
    };
    let reads = 0;
    const { status, out, err } = await run(
      ["create", "--wait", "https://a.example/b.png"],
      ({ method, path: asked }) => {
        if (method === "POST") return job();
        if (!asked.includes("/results")) {
          reads += 1;
          if (reads > 1) {
            pages["?cursor=1"] = { results: [failed] };
            return job({ succeeded: 1, failed: 1 }, { state: "completed", finished_at: at });
          }
          const paused = { code: "node_unavailable" as const, until: at };
          return job({ succeeded: 1, running: 1 }, { paused });
        }
        return pages[asked.replace(/^[^?]*/, "")];
      },
    );
    expect(out).toEqual(['1  succeeded  {"text":"text 1"}', "a  failed  It is broken."]);
    expect(err.join("\n")).toContain("1 of 2, 0 failed, 1 running; paused until");
    expect(status).toBe(1);
  });

  test.each([
    [["create"], /pictures or --items/],
    [["create", "--items", "a", "b.png"], /one of them/],
    [["create", "--task", "draw", "https://a.example/b.png"], /`task` must be caption or vqa/],
    [["create", "--task", "vqa", "https://a.example/b.png"], /`parameters.question`/],
    [["create", "--parameters", "{", "https://a.example/b.png"], /--parameters is not JSON/],
    [["create", "--items", path.join(folder, "none")], /cannot be read: ENOENT/],
    [["create", "--webhook", "https://a.example/", "https://a.example/b.png"], /BLIP2_WEBHOOK_SEC/],
    [["get"], /id of one job/],
    [["get", "job_1"], /"job_1" is not the id/],
    [["list", "x"], /no arguments/],
    [["start"], /no "jobs start"/],
  ])("wrong usage: %j", async (args, words) => {
    await expect(run(args)).rejects.toMatchObject({ code: "usage", detail: words });
  });

  test("a picture that is not there is a problem of its own", async () => {
    const gone = run(["create", path.join(folder, "gone.png")]);
    await expect(gone).rejects.toMatchObject({ code: "image_required" });
  });
});

test("list reads every page", async () => {
  const { out, requests } = await run(["list"], ({ path: asked }) =>
    asked.includes("cursor")
      ? { jobs: [job({}, { name: "old" })] }
      : { jobs: [job({ succeeded: 2 }, { state: "completed" })], cursor: "9" },
  );
  expect(requests.map(({ path: asked }) => asked)).toEqual(["/v1/jobs", "/v1/jobs?cursor=9"]);
  expect(out).toEqual([
    `${id}  completed  2 of 2, 0 failed  ${at}`,
    `${id}  running    0 of 2, 0 failed  ${at}  old`,
  ]);
});

test("results are written as they stand; with --wait until the job is over", async () => {
  const { out, status } = await run(["results", id, "--json"], () => ({
    ...{ results: [], cursor: "4" },
  }));
  expect([status, out]).toEqual([0, []]);
  const over = await run(["results", id, "--wait", "--json"], ({ path: asked }) =>
    asked.includes("/results")
      ? { results: [result(0), result(1)] }
      : job({ succeeded: 2 }, { state: "completed", finished_at: at }),
  );
  expect(over.out.map((line) => JSON.parse(line) as unknown)).toEqual([result(0), result(1)]);
  expect(over.status).toBe(0);
});

test("get --wait ends with the job, and fails when it was ended", async () => {
  let reads = 0;
  const { status, out, err } = await run(["get", id, "--wait"], () => {
    reads += 1;
    return reads < 3 ? job() : job({ canceled: 2 }, { state: "canceled", finished_at: at });
  });
  expect([status, out.length, err.length]).toEqual([1, 1, 2]);
});

test("cancel and delete name what they did", async () => {
  const canceled = await run(["cancel", id], () => job({ canceled: 2 }, { state: "canceled" }));
  expect(canceled.requests).toMatchObject([{ method: "POST", path: `/v1/jobs/${id}/cancel` }]);
  expect(canceled.out[0]).toContain("canceled");
  const deleted = await run(["delete", id], () => ({ id, deleted: true }));
  expect(deleted.requests).toMatchObject([{ method: "DELETE", path: `/v1/jobs/${id}` }]);
  expect(deleted.out).toEqual([`${id} is deleted`]);
});
