import { expect, test } from "vitest";
import type { UsageDay } from "@blip2-edge/shared/contracts/usage";
import { usage } from "./usage.ts";

const day = (key_id: string, name: string): UsageDay => ({
  ...{ key_id, name, tenant: "ada", day: "2030-01-01" },
  ...{ inferences: 12, calls: 3, refunded_calls: 1, expired_calls: 0 },
});

/** Runs the command against two pages of answers; tells what it asked and wrote. */
async function run(...args: string[]) {
  const asked: string[] = [];
  const out: string[] = [];
  const pages: Record<string, unknown> = {
    first: { usage: [day("a", "cms"), day("b", '=1+"1"')], cursor: "7" },
    second: { usage: [day("c", "a, b\nc")] },
  };
  const status = await usage(args, {
    stdout: (line) => void out.push(line),
    write: () => {},
    stderr: () => {},
    signal: new AbortController().signal,
    env: { BLIP2_API_KEY: "admin", BLIP2_URL: "https://edge.example" },
    fetch(input) {
      const { search, searchParams } = new URL(new Request(input).url);
      asked.push(search);
      return Promise.resolve(Response.json(pages[searchParams.has("cursor") ? "second" : "first"]));
    },
  });
  return { status, asked, out };
}

test("every page is asked for, with what the flags say", async () => {
  const { status, asked } = await run(
    ...["--from", "2030-01-01", "--to", "2030-01-31", "--tenant", "ada", "--json"],
  );
  const query = "?tenant=ada&from=2030-01-01&to=2030-01-31";
  expect(status).toBe(0);
  expect(asked).toEqual([query, `${query}&cursor=7`]);
});

test("--json: an object a line", async () => {
  const { out } = await run("--json");
  expect(out.map((line) => JSON.parse(line) as unknown)).toEqual([
    ...[day("a", "cms"), day("b", '=1+"1"'), day("c", "a, b\nc")],
  ]);
});

test("--csv: a head line, cells quoted where they must be, and no cell that a spreadsheet would run", async () => {
  const { out } = await run("--csv");
  expect(out).toEqual([
    "day,tenant,key_id,name,inferences,calls,refunded_calls,expired_calls",
    "2030-01-01,ada,a,cms,12,3,1,0",
    `2030-01-01,ada,b,"'=1+""1""",12,3,1,0`,
    '2030-01-01,ada,c,"a, b\nc",12,3,1,0',
  ]);
});

test("for people: a line for each day of a key", async () => {
  const { out } = await run();
  expect(out[0]).toBe("2030-01-01  ada  a  12 inferences in 3 calls  cms");
});

test.each([
  [["--from", "soon"], /`from` must be a day/],
  [["--csv", "--json"], /two forms/],
  [["all"], /no arguments/],
  [["--month"], /--month/],
])("wrong usage: %j", async (args, words) => {
  await expect(run(...args)).rejects.toMatchObject({ code: "usage", detail: words });
});
