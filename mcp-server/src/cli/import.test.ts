import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AppError, problemResponse } from "@blip2-edge/shared/problem";
import { importFolder } from "./import.ts";
import { idOfPath } from "./record-id.ts";

let folder: string;
const count = 60;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "blip2-import-"));
  await mkdir(path.join(folder, "sub"));
  await mkdir(path.join(folder, ".thumbs"));
  for (let n = 0; n < count; n++) {
    await writeFile(path.join(folder, n % 2 === 0 ? "" : "sub", `${n} é.png`), `picture ${n}`);
  }
  await writeFile(path.join(folder, "notes.txt"), "no picture");
  await writeFile(path.join(folder, "sub", "._0.png"), "not one either");
  await writeFile(path.join(folder, ".thumbs", "0.png"), "nor this");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What a Worker would say instead of taking this id, at this put (from 1). */
type Refuse = (id: string, put: number) => AppError | undefined;

/** A Worker that holds records. */
function worker(refuse: Refuse = () => undefined) {
  const puts = new Map<string, number>();
  let asked = 0;
  /** Ends in the middle of the put of that number, when there is one. */
  const run = async (interruptAfter: number, ...args: string[]) => {
    const interrupt = new AbortController();
    let left = interruptAfter;
    // Time passes only while somebody sleeps.
    let clock = 0;
    const [out, lines, waits]: [string[], string[], number[]] = [[], [], []];
    const status = importFolder([folder, "--parallel", "3", ...args], {
      stdout: (line) => void out.push(line),
      write: () => {},
      stderr: (line) => void lines.push(line),
      signal: interrupt.signal,
      env: { BLIP2_API_KEY: "key", BLIP2_URL: "https://edge.example" },
      now: () => clock,
      sleep(ms) {
        waits.push(ms);
        clock += ms;
        return Promise.resolve();
      },
      async fetch(input, init) {
        const request = new Request(input, init);
        const url = new URL(request.url);
        if (request.method === "GET") {
          const after = url.searchParams.get("cursor") ?? "";
          const ids = [...puts.keys()].toSorted().filter((id) => id > after);
          const page = ids.slice(0, 25);
          return Response.json({
            images: page.map(recordOf),
            ...(ids.length > page.length ? { cursor: page.at(-1) } : {}),
          });
        }
        const id = decodeURIComponent(url.pathname.split("/").at(-1) ?? "");
        asked += 1;
        const refusal = refuse(id, asked);
        if (refusal !== undefined) return problemResponse(refusal);
        puts.set(id, (puts.get(id) ?? 0) + 1);
        left -= 1;
        if (left === 0) interrupt.abort(new AppError("canceled", "Interrupted."));
        request.signal.throwIfAborted();
        return Promise.resolve(Response.json(recordOf(id)));
      },
    });
    return { status, out, lines, waits };
  };
  return { puts, run, asked: () => asked };
}
const recordOf = (id: string) => ({
  ...{ id, namespace: "default", image_id: `img_${"0".repeat(64)}`, source: null, title: null },
  ...{ text: null, tags: [], metadata: {}, caption: null, created_at: "", updated_at: "" },
});

test("interrupted twice and begun again: every picture once, and hardly one asked for again", async () => {
  const { puts, run } = worker();
  for (const after of [17, 20]) {
    const { status, lines } = await run(after);
    await expect(status).rejects.toMatchObject({ code: "canceled" });
    expect(lines.at(-1)).toMatch(/^\d+ indexed, 0 failed, \d+ not done: begin again/);
  }
  const last = await run(-1);
  expect(await last.status).toBe(0);
  expect(puts.size).toBe(count);
  // Only what was under way when it ended is put again.
  const putInAll = () => [...puts.values()].reduce((sum, times) => sum + times, 0);
  expect(putInAll()).toBeLessThanOrEqual(count + 2 * 3);
  const before = putInAll();
  const again = await run(-1);
  expect(await again.status).toBe(0);
  expect(again.lines).toEqual([
    `${count} pictures, ${count} of them there already; 1 other file is passed over`,
    "0 indexed, 0 failed",
  ]);
  expect(putInAll()).toBe(before);
});

test("what is no picture is told by its name, and the rest is done", async () => {
  const bad = path.join("sub", "7 é.png");
  const why = "This is text, not an image.";
  const { puts, run } = worker((id) =>
    id === idOfPath(bad) ? new AppError("image_not_recognised", why) : undefined,
  );
  const { status, lines, out } = await run(-1, "--json");
  expect(await status).toBe(1);
  expect(puts.size).toBe(count - 1);
  expect(lines).toContain(`${bad}: ${why}`);
  expect(lines.at(-1)).toBe(`${count - 1} indexed, 1 failed`);
  const told = out.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(told.filter(({ id }) => id !== undefined)).toHaveLength(count - 1);
  expect(told).toContainEqual({
    image: bad,
    problem: expect.objectContaining({ code: "image_not_recognised" }),
  });
});

test("a Worker that has enough for now is waited for as long as it says, by all", async () => {
  const { puts, run, asked } = worker((_, put) =>
    put === 10 || put === 30
      ? new AppError("rate_limited", "Too fast.", { retryAfterS: 9 })
      : undefined,
  );
  const { status, lines, waits } = await run(-1, "--patience", "3600");
  expect(await status).toBe(0);
  expect([puts.size, asked()]).toEqual([count, count + 2]);
  expect(lines).toContain("Too fast. Waiting 9 s, then 1 at a time.");
  expect(Math.max(...waits)).toBeGreaterThan(8000);
});

test("what every picture would meet ends it at once", async () => {
  const { puts, run, asked } = worker((_, put) =>
    put > 5 ? new AppError("forbidden", "The key lacks the scope index.") : undefined,
  );
  const { status, lines } = await run(-1);
  await expect(status).rejects.toMatchObject({ code: "forbidden" });
  expect(puts.size).toBe(5);
  expect(asked()).toBeLessThanOrEqual(8);
  expect(lines.at(-1)).toContain("not done: begin again");
});

test("wrong usage", async () => {
  const { run } = worker();
  for (const flags of [["--parallel", "17"], ["--patience", "x"], ["another folder"]]) {
    const { status } = await run(-1, ...flags);
    await expect(status).rejects.toMatchObject({ code: "usage" });
  }
});
