import { expect, test } from "vitest";
import { AppError, problemResponse } from "@blip2-edge/shared/problem";
import { suggestions } from "./suggestions.ts";

const connection = `con_${"1".repeat(32)}`;
const idOf = (digit: string): string => `sug_${digit.repeat(32)}`;
const suggestion = (digit: string, more: object = {}) => ({
  ...{ id: idOf(digit), connection, delivery: "dlv", asset_id: "7", version: "1", state: "open" },
  ...{ reason: "mode_suggest", before: { alt: null }, ours: { alt: "A cat" }, original: null },
  ...{
    image_id: `img_${"1".repeat(64)}`,
    file_name: "cat.png",
    detail: null,
    model: "m",
    model_revision: "r",
    log_prob: -0.1,
    itm: null,
  },
  ...{ created_at: "2030-01-01T00:00:00.000Z", edited_at: null, edited_by: null },
  ...{ decided_at: null, decided_by: null, ...more },
});

async function run(args: readonly string[], answer: (path: string) => unknown) {
  const requests: { path: string; body: unknown }[] = [];
  const [out, err]: [string[], string[]] = [[], []];
  const status = await suggestions(args, {
    stdout: (line) => void out.push(line),
    write: (text) => void out.push(text),
    stderr: (line) => void err.push(line),
    signal: new AbortController().signal,
    env: { BLIP2_API_KEY: "key", BLIP2_URL: "https://edge.example" },
    async fetch(input, init) {
      const request = new Request(input, init);
      const { pathname, search } = new URL(request.url);
      const text = await request.clone().text();
      requests.push({ path: pathname + search, body: text === "" ? undefined : JSON.parse(text) });
      const told = answer(pathname);
      return told instanceof AppError ? problemResponse(told) : Response.json(told);
    },
  });
  return { status, requests, out, err };
}

test("list tells what waits, and whether a person has edited it", async () => {
  const edited = suggestion("2", {
    ours: { alt: "Tom\u001B[2J" },
    edited_at: "2030-01-01T00:00:00.000Z",
  });
  const { status, requests, out } = await run(["list", connection, "--state", "open"], () => ({
    suggestions: [suggestion("1"), edited],
  }));
  expect([status, requests[0]?.path]).toEqual([
    ...[0, `/v1/suggestions?connection=${connection}&state=open`],
  ]);
  expect(out[0]).toMatch(/asset 7 {2}log_prob -0\.10, itm - {2}"A cat"$/);
  expect(out[1]).toContain("edited");
  expect(out.join()).not.toContain("\u001B");
});

test("edit sends the words that are given, and no others", async () => {
  const words = ["--alt", "Tom", "--tag", "cat", "--tag", "mat"];
  const { requests } = await run(["edit", idOf("1"), ...words], () => suggestion("1"));
  expect(requests).toEqual([
    { path: `/v1/suggestions/${idOf("1")}/edit`, body: { alt: "Tom", tags: ["cat", "mat"] } },
  ]);
  const none = await run(["edit", idOf("1"), "--tag", ""], () => suggestion("1"));
  expect(none.requests[0]?.body).toEqual({ tags: [] });
});

test("of several that are accepted, one that cannot be does not keep the others from it", async () => {
  const changed = new AppError("words_changed", "Somebody wrote words of their own meanwhile.");
  const { status, requests, out, err } = await run(
    ["accept", idOf("1"), idOf("2"), idOf("3")],
    (path) => (path.includes(idOf("2")) ? changed : suggestion("1", { state: "written" })),
  );
  expect([status, requests.length, out.length]).toEqual([1, 3, 2]);
  expect(err).toEqual([`${idOf("2")}: Somebody wrote words of their own meanwhile.`]);
});

test.each([
  [["edit", idOf("1")], /gives no words/],
  [["edit", "x", "--alt", "y"], /sug_/],
  [["accept"], /Give the ids/],
  [["accept", idOf("1"), "x"], /sug_/],
  [["list", connection, connection], /Give one connection or none/],
])("%j is wrong usage", async (args, why) => {
  await expect(run(args, () => suggestion("1"))).rejects.toMatchObject({
    code: "usage",
    detail: expect.stringMatching(why) as unknown,
  });
});
