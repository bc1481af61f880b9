import { expect, test } from "vitest";
import type { CliIo } from "./io.ts";
import { namespaces } from "./namespaces.ts";

const settled = { store: "vectorize", moving_to: null, waiting: 0, leaving: 0, fault: null };
const info = (candidates: object) => ({
  ...{ namespace: "n", images: 3, pictures: 2, model: "m", model_revision: "r" },
  candidates: { ...settled, ...candidates },
  keep_originals: false,
});

/** Runs the command before a Worker that gives these answers in turn. */
async function run(args: readonly string[], answers: readonly unknown[]) {
  const asked: unknown[] = [];
  const [out, err]: [string[], string[]] = [[], []];
  let sleeps = 0;
  const io: CliIo = {
    stdout: (line) => void out.push(line),
    write: () => {},
    stderr: (line) => void err.push(line),
    signal: new AbortController().signal,
    env: { BLIP2_API_KEY: "key", BLIP2_URL: "https://edge.example" },
    async sleep() {
      sleeps += 1;
    },
    async fetch(input, init) {
      const request = new Request(input, init);
      const { pathname } = new URL(request.url);
      const body = request.method === "PATCH" ? [await request.json()] : [];
      asked.push([request.method, pathname, ...body]);
      return Response.json(answers[asked.length - 1]);
    },
  };
  return { status: await namespaces(args, io), asked, out, err, sleeps };
}
const at = "/v1/namespaces/n";

test("shows what a namespace holds and where its candidates are", async () => {
  expect(await run(["show", "n"], [info({})])).toMatchObject({
    status: 0,
    asked: [["GET", at]],
    out: ["n  3 images  2 pictures  by m  candidates: vectorize"],
  });
  const { out } = await run(["show", "n", "--json"], [info({})]);
  expect(JSON.parse(out[0] ?? "")).toEqual(info({}));
});

test("moves, and waits until nothing waits or leaves", async () => {
  const there = info({ store: "embedded", moving_to: "vectorize", waiting: 2 });
  const slow = info({ waiting: 1, fault: "It rests" });
  const done = await run(
    ["set", "n", "--candidates", "vectorize", "--wait"],
    [there, slow, info({ leaving: 1 }), info({})],
  );
  expect(done).toMatchObject({ status: 0, sleeps: 3 });
  expect(done.asked).toEqual([
    ["PATCH", at, { candidates: "vectorize" }],
    ...Array.from({ length: 3 }, () => ["GET", at]),
  ]);
  expect(done.err[1]).toContain("1 wait, 0 are to be deleted from Vectorize; It rests");
  const begun = await run(["set", "n", "--candidates", "vectorize"], [there]);
  expect(begun.out[0]).toContain("candidates: embedded, moving to vectorize");
});

test("wrong usage", async () => {
  for (const args of [
    ...[[], ["drop", "n"], ["show"], ["show", "Not A Name"], ["set", "n"]],
    ["set", "--candidates", "vectorize"],
    ["set", "n", "--candidates", "elsewhere"],
  ]) {
    await expect(run(args, [])).rejects.toMatchObject({ code: "usage" });
  }
});
