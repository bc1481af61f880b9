import { expect, test } from "vitest";
import type { Grant } from "@blip2-edge/shared/contracts/grants";
import { AppError, problemResponse } from "@blip2-edge/shared/problem";
import { grants } from "./grants.ts";

const id = `grt_${"0a".repeat(16)}`;
const grant = (more: Partial<Grant> = {}): Grant => ({
  ...{ id, tenant: "ada", key_id: "k1", client_id: "c", client_name: "Desk" },
  ...{ redirect_host: "desk.example", scopes: ["infer", "search"], proof: "key", person: null },
  ...{ created_at: "2030-01-01T00:00:00.000Z", refreshed_at: null, revoked_at: null },
  expires_at: "2030-01-02T00:00:00.000Z",
  ...more,
});

/** Runs the command against scripted answers; tells what it said and asked. */
async function run(args: readonly string[], answer: (url: string) => Response) {
  const [out, err, asked]: [string[], string[], string[]] = [[], [], []];
  const status = await grants(args, {
    stdout: (line) => void out.push(line),
    write: (text) => void out.push(text),
    stderr: (line) => void err.push(line),
    signal: new AbortController().signal,
    env: { BLIP2_API_KEY: "admin", BLIP2_URL: "https://edge.example" },
    now: () => Date.UTC(2030, 0, 1, 12),
    fetch(input, init) {
      const { method, url } = new Request(input, init);
      asked.push(`${method} ${url.replace("https://edge.example", "")}`);
      return Promise.resolve(answer(url));
    },
  });
  return { status, out, err, asked };
}

test("list: every page, a line each, and nothing of a name that moves the cursor", async () => {
  const { status, out, asked } = await run(["list", "--of", "k1"], (url) =>
    url.includes("cursor")
      ? Response.json({ grants: [grant({ revoked_at: "2030-01-01T00:00:00.000Z" })] })
      : Response.json({ grants: [grant({ client_name: "a\u001B[2Jb\nc" })], cursor: "7" }),
  );
  expect(asked).toEqual(["GET /v1/grants?key_id=k1", "GET /v1/grants?key_id=k1&cursor=7"]);
  expect(status).toBe(0);
  expect(out).toEqual([
    `${id}  live     ada  k1  infer,search  a [2Jb c  desk.example  whoever held the key  last token never`,
    `${id}  revoked  ada  k1  infer,search  Desk  desk.example  whoever held the key  last token never`,
  ]);
  const json = await run(["list", "--json"], () => Response.json({ grants: [grant()] }));
  expect(json.out.map((line) => JSON.parse(line) as Grant)).toEqual([grant()]);
});

test("revoke: each, and what there is not keeps none alive", async () => {
  const other = id.replace("0a", "0b");
  const { status, out, err, asked } = await run(["revoke", other, id], (url) =>
    url.endsWith(other)
      ? problemResponse(new AppError("not_found", "There is no grant with this id."))
      : Response.json(grant({ revoked_at: "2030-01-01T00:00:00.000Z" })),
  );
  expect(asked).toEqual([`DELETE /v1/grants/${other}`, `DELETE /v1/grants/${id}`]);
  expect([status, out, err]).toEqual([
    ...[1, [`${id} (Desk) is revoked`]],
    [`${other}: There is no grant with this id.`],
  ]);
});

test.each([[["list", "more"]], [["revoke"]], [["end"]], [[]]])("wrong usage: %j", async (args) => {
  await expect(run(args, () => Response.json({}))).rejects.toMatchObject({ code: "usage" });
});
