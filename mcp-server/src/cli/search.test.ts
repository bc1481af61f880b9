import { expect, test } from "vitest";
import { images } from "./images.ts";
import type { CliIo } from "./io.ts";
import { search } from "./search.ts";

const record = {
  ...{ id: "a", image_id: `img_${"0".repeat(64)}`, source: null, title: "A title", tags: ["x"] },
  ...{
    metadata: {},
    caption: "a caption",
    namespace: "n",
    text: null,
    created_at: "",
    updated_at: "",
  },
};
const found = {
  hits: [{ ...record, score: 0.75, decided_by: "max_similarity", scores: { itc: 0.5 } }],
  ...{ no_match: false, namespace: "n", model: "m", model_revision: "r", min_score: 0.5 },
  ...{ calibrated: true, vision_passes: 0 },
};

/** Runs a command before a Worker that answers by method and path; tells what it asked and wrote. */
async function run(
  command: typeof search,
  args: readonly string[],
  answers: Readonly<Record<string, unknown>>,
) {
  const asked: unknown[] = [];
  const [out, err]: string[][] = [[], []];
  const io: CliIo = {
    stdout: (line) => void out?.push(line),
    write: () => {},
    stderr: (line) => void err?.push(line),
    signal: new AbortController().signal,
    env: { BLIP2_API_KEY: "key", BLIP2_URL: "https://edge.example" },
    async fetch(input, init) {
      const request = new Request(input, init);
      const { pathname } = new URL(request.url);
      asked.push(
        request.method === "POST" ? await request.json() : `${request.method} ${pathname}`,
      );
      const answer = answers[pathname];
      return answer === undefined
        ? Response.json({ code: "not_found", detail: "There is none." }, { status: 404 })
        : Response.json(answer);
    },
  };
  return { status: await command(args, io), asked, out, err };
}

test("search asks what the flags say and tells each hit in a line", async () => {
  const flags = ["--namespace", "n", "--top", "3", "--rerank", "5", "--tag", "x", "--hybrid"];
  const [first] = found.hits;
  const twin = { ...first, id: "bc", score: 0.04, title: null, duplicate_of: "a" };
  // What a model or another user wrote does not command the terminal.
  const hostile = { ...first, id: "d", title: null, caption: "red \u001B[31m\u202E\nalert" };
  const done = await run(search, ["two", "owls", ...flags, "--min-score", "0.2"], {
    "/v1/search": { ...found, hits: [first, twin, hostile], cursor: "next" },
  });
  expect(done).toMatchObject({
    status: 0,
    out: [
      " 75.0 %  a   A title · a caption",
      "  4.0 %  bc  a caption  (the same picture as a)",
      " 75.0 %  d   red  [31m alert",
    ],
    err: ["More with --cursor next"],
  });
  expect(done.asked).toEqual([
    {
      ...{ namespace: "n", text: "two owls", top_k: 3, rerank: 5, hybrid: true, min_score: 0.2 },
      filter: { tags: { all: ["x"] } },
    },
  ]);
});

test("nothing found is said beside the results, which stay empty", async () => {
  const none = { ...found, hits: [], no_match: true };
  const done = await run(search, ["owls", "--json"], { "/v1/search": none });
  expect(done).toMatchObject({ status: 0, out: [] });
  expect(done.err).toEqual(['no match: nothing in "n" reaches 50.0 %; --min-score sets it lower']);
  const empty = { ...none, model: null, model_revision: null, min_score: 0 };
  expect((await run(search, ["owls"], { "/v1/search": empty })).err).toEqual([
    'no match: nothing is indexed in "n"',
  ]);
});

test("a score without a calibration is a similarity", async () => {
  const plainly = { ...found, calibrated: false };
  const done = await run(search, ["owls"], { "/v1/search": plainly });
  expect(done.out).toEqual(["0.750  a  A title · a caption"]);
});

test("wrong usage of search", async () => {
  for (const args of [
    [],
    ["--top", "x", "a"],
    ["--rerank", "999", "a"],
    ["--min-score", "2", "a"],
  ]) {
    await expect(run(search, args, {})).rejects.toMatchObject({ code: "usage" });
  }
});

test("images: a line each, and one that is not there makes the status 1", async () => {
  const at = "/v1/namespaces/n/images";
  const answers = {
    [at]: { images: [record] },
    [`${at}/a`]: record,
  };
  const list = await run(images, ["list", "--namespace", "n"], answers);
  expect(list).toMatchObject({ status: 0, out: ["a  A title  #x"] });
  const show = await run(images, ["show", "b", "a", "--namespace", "n"], answers);
  expect(show).toMatchObject({ status: 1, out: ["a  A title  #x"], err: ["There is none."] });
  const gone = { id: "a", image_id: record.image_id, deleted: true, picture_deleted: true };
  const done = await run(images, ["delete", "a", "--namespace", "n"], { [`${at}/a`]: gone });
  expect(done).toMatchObject({ status: 0, asked: [`DELETE ${at}/a`], out: ["deleted a"] });
  await expect(run(images, ["drop"], {})).rejects.toMatchObject({ code: "usage" });
});
