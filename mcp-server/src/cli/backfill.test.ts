import { expect, test } from "vitest";
import { problemResponse, AppError } from "@blip2-edge/shared/problem";
import { backfill } from "./backfill.ts";

const connection = `con_${"1".repeat(32)}`;
const id = `bkf_${"2".repeat(32)}`;
const counts = {
  ...{ found: 5000, known: 0, listed: 5000, waiting: 4000, queued: 60 },
  ...{ written: 930, suggested: 0, skipped: 10, failed: 0, dead: 0 },
};
const running = {
  ...{ id, connection, state: "running", reason: null, detail: null, resumes_at: null },
  ...{ pictures: "untitled", rate: 60, limit: null, dry_run: false, listing: false, counts },
  ...{ left: 4060, left_s: 4060, started_by: "key" },
  ...{ created_at: "2030-01-01T00:00:00.000Z", ended_at: null },
};
const over = { waiting: 0, queued: 0, written: 4990 };
const done = {
  ...{ ...running, state: "done", left: 0, left_s: 0, counts: { ...counts, ...over } },
  ended_at: "2030-01-01T02:00:00.000Z",
};

async function run(args: readonly string[], ...answers: readonly unknown[]) {
  const requests: { method: string; path: string; body: unknown }[] = [];
  const [out, err]: [string[], string[]] = [[], []];
  const wantsOut = new AbortController();
  let waits = 0;
  const status = backfill(args, {
    stdout: (line) => void out.push(line),
    write: (text) => void out.push(text),
    stderr: (line) => void err.push(line),
    signal: wantsOut.signal,
    env: { BLIP2_API_KEY: "key", BLIP2_URL: "https://edge.example" },
    async fetch(input, init) {
      const request = new Request(input, init);
      const { pathname, search } = new URL(request.url);
      const text = await request.clone().text();
      const body: unknown = text === "" ? undefined : JSON.parse(text);
      const answer = answers[Math.min(requests.length, answers.length - 1)];
      requests.push({ method: request.method, path: pathname + search, body });
      return answer instanceof AppError ? problemResponse(answer) : Response.json(answer);
    },
    sleep: () => {
      waits += 1;
      if (answers.length > requests.length) return Promise.resolve();
      wantsOut.abort(new AppError("canceled", "Interrupted."));
      return Promise.reject(wantsOut.signal.reason as Error);
    },
  });
  return { status, requests, out, err, waits: () => waits };
}

test("a backfill is started as the flags say, and told in one line", async () => {
  const { status, requests, out } = await run(
    [connection, "--rate", "120", "--limit", "50", "--all", "--dry-run"],
    running,
  );
  expect(await status).toBe(0);
  expect(requests).toEqual([
    {
      ...{ method: "POST", path: "/v1/backfills" },
      body: { connection, pictures: "all", rate: 120, limit: 50, dry_run: true },
    },
  ]);
  expect(out).toEqual([expect.stringContaining(`${id}  running    940 of 5000`)]);
});

test.each([
  [[], /Say what to do/],
  [["start", connection], /There is no "backfill start"/],
  [["con_1"], /con_ and 32 hex digits/],
  [[connection, "--rate", "0"], /`rate` must be at least 1/],
  [[connection, "--rate", "fast"], /--rate must be a whole number/],
  [[connection, connection], /Give one id/],
  [["pause"], /Give one id/],
  [["resume", connection], /bkf_ and 32 hex digits/],
])("%j is wrong usage", async (args, why) => {
  const { status, requests } = await run(args, running);
  await expect(status).rejects.toMatchObject({
    code: "usage",
    detail: expect.stringMatching(why) as unknown,
  });
  expect(requests).toEqual([]);
});

test("--wait follows it to its end: progress beside, one object on standard output", async () => {
  const listing = { ...running, listing: true, left_s: null };
  const heldUp = { detail: "The key's quota is used up.", reason: "quota_exceeded" };
  const paused = { ...running, ...heldUp, state: "paused", resumes_at: "2030-01-01T00:05:00.000Z" };
  const answers = [running, listing, running, running, paused, done];
  const { status, out, err } = await run([connection, "--wait", "--json"], ...answers);
  expect(await status).toBe(0);
  expect(out.map((line) => (JSON.parse(line) as { state: string }).state)).toEqual(["done"]);
  expect(err).toEqual([
    `Backfill ${id}, 60 pictures a minute.`,
    "5,000 pictures found, 0 known",
    "940 of 5,000, 10 with nothing to do, 68 min left",
    expect.stringContaining("The key's quota is used up. Until 2030-01-01T00:05:00.000Z."),
  ]);
});

test.each([
  ["a picture failed", { ...done, counts: { ...counts, ...over, failed: 1 } }],
  ["it was cancelled", { ...done, state: "cancelled" }],
  ["somebody has paused it", { ...running, state: "paused", reason: "paused_by_person" }],
])("the exit status is 1 when %s", async (_, end) => {
  const { status } = await run(["show", id, "--wait"], running, end);
  expect(await status).toBe(1);
});

test("Ctrl-C ends the waiting alone, and says how to go on", async () => {
  const { status, err, requests } = await run(["show", id, "--wait"], running);
  await expect(status).rejects.toMatchObject({ code: "canceled" });
  expect(err.at(-1)).toContain(`blip2-edge backfill show ${id} --wait`);
  expect(requests.map(({ method }) => method)).toEqual(["GET"]);
});

test("pause, resume and cancel name one", async () => {
  for (const action of ["pause", "resume", "cancel"]) {
    const { status, requests } = await run([action, id], running);
    expect(await status).toBe(0);
    expect(requests[0]).toMatchObject({ method: "POST", path: `/v1/backfills/${id}/${action}` });
  }
});

test("list reads page by page", async () => {
  const pages = [{ backfills: [running], cursor: "7" }, { backfills: [done] }];
  const { status, requests, out } = await run(["list", connection], ...pages);
  expect(await status).toBe(0);
  expect(requests.map(({ path }) => path)).toEqual([
    `/v1/backfills?connection=${connection}`,
    `/v1/backfills?connection=${connection}&cursor=7`,
  ]);
  expect(out).toHaveLength(2);
});
