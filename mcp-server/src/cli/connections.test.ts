import { expect, test } from "vitest";
import { connections } from "./connections.ts";

const id = `con_${"1".repeat(32)}`;
const made = {
  ...{ id, name: "site", kind: "directus", base_url: "https://cms.example", allow_private: false },
  ...{ key_id: "k", webhook_path: `/v1/webhooks/${id}`, mode: "apply", model: null, prompt: null },
  fields: { alt: "description", caption: null, tags: "tags" },
  ...{ only_if_empty: true, max_length: 100, glossary: [], decorative: [], types: ["image/png"] },
  ...{ min_log_prob: null, min_itm: 0.5, vocabulary: [], max_tags: 5, sweep_every_s: 3600 },
  ...{ created_at: "2030-01-01T00:00:00.000Z", updated_at: "2030-01-01T00:00:00.000Z" },
  ...{ previous_secret_until: null, swept_at: null },
};

async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  answer: (request: Request) => unknown,
) {
  const requests: { method: string; path: string; body: unknown }[] = [];
  const [out, err]: [string[], string[]] = [[], []];
  const status = await connections(args, {
    stdout: (line) => void out.push(line),
    write: (text) => void out.push(text),
    stderr: (line) => void err.push(line),
    signal: new AbortController().signal,
    env: { BLIP2_API_KEY: "key", BLIP2_URL: "https://edge.example", ...env },
    async fetch(input, init) {
      const request = new Request(input, init);
      const { pathname, search } = new URL(request.url);
      const text = await request.clone().text();
      const body: unknown = text === "" ? undefined : JSON.parse(text);
      requests.push({ method: request.method, path: pathname + search, body });
      return Response.json(answer(request));
    },
  });
  return { status, requests, out, err };
}
const create = [
  "create",
  "--name",
  "site",
  "--kind",
  "directus",
  "--base-url",
  "https://cms.example",
];

test("create sends the secrets of the environment, and shows a secret that it made once and alone", async () => {
  const more = ["--mode", "apply", "--options", '{"max_length":100}'];
  const token = "a token of the CMS";
  const own = await run([...create, ...more], { CMS_TOKEN: token }, () => made);
  const [{ body } = { body: undefined }] = own.requests;
  const secret = (body as { webhook_secret: string }).webhook_secret;
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(body).toEqual({
    ...{ name: "site", kind: "directus", base_url: "https://cms.example", mode: "apply" },
    ...{ max_length: 100, token, webhook_secret: secret },
  });
  expect(own.out).toEqual([secret]);
  const env = { CMS_TOKEN: token, CMS_WEBHOOK_SECRET: "a secret of the CMS" };
  const given = await run(create, env, () => made);
  const contentful = create.with(create.indexOf("directus"), "contentful");
  const { out } = await run(contentful, { CMS_TOKEN: token }, () => made);
  expect(out).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
  expect(given.out).toEqual([]);
  expect(given.err.join()).toContain(`/v1/webhooks/${id}`);
});

test.each([
  [create, {}, /`token` is missing/],
  [
    [...create, "--options", "[]"],
    { CMS_TOKEN: "x".repeat(16) },
    /--options must be a JSON object/,
  ],
  [[...create, "--mode", "on"], { CMS_TOKEN: "x".repeat(16) }, /`mode` must be off or suggest/],
  [["replay", id], {}, /Give 2 ids/],
  [["accept", "x"], {}, /There is no "connections accept"/],
  [["destroy"], {}, /There is no "connections destroy"/],
])("%j is wrong usage", async (args, env, why) => {
  await expect(run(args, env, () => made)).rejects.toMatchObject({
    code: "usage",
    detail: expect.stringMatching(why) as unknown,
  });
});

test("deliveries are read page by page, one a line", async () => {
  const delivery = (digit: string) => ({
    ...{ id: `dlv_${digit.repeat(32)}`, connection: id, delivery_id: "d", event: "files.upload" },
    ...{
      asset_id: "7",
      version: "1",
      state: "skipped",
      reason: "has_words",
      detail: "Left alone.",
    },
    ...{ attempts: 1, seen: 1, received_at: "2030-01-01T00:00:00.000Z" },
    ...{ next_attempt_at: null, finished_at: null },
  });
  const { out, requests } = await run(["deliveries", id, "--state", "skipped"], {}, ({ url }) =>
    url.includes("cursor=9")
      ? { deliveries: [delivery("2")] }
      : { deliveries: [delivery("1")], cursor: "9" },
  );
  expect(requests.map(({ path }) => path)).toEqual([
    `/v1/connections/${id}/deliveries?state=skipped`,
    `/v1/connections/${id}/deliveries?state=skipped&cursor=9`,
  ]);
  expect(out).toHaveLength(2);
  expect(out[0]).toContain("asset 7  1 attempts  Left alone.");
});
