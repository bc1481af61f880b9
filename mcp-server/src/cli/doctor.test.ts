import { expect, test } from "vitest";
import { AppError, problemResponse, type ProblemCode } from "@blip2-edge/shared/problem";
import { doctor } from "./doctor.ts";

const about = { object: "model", created: 0, owned_by: "x", model_revision: "0".repeat(16) };
const model = { id: "nano", ...about, abilities: ["caption", "vqa"] };
const list = { jsonrpc: "2.0", id: 1, result: { tools: [{ name: "caption_image" }] } };
type Paths = Readonly<Record<string, () => Response>>;
const healthy: Paths = {
  "/healthz": () => Response.json({ status: "ok" }),
  "/v1/models": () => Response.json({ object: "list", data: [model] }),
  "/v1/namespaces": () => Response.json({ namespaces: [{ namespace: "holiday" }] }),
  "/mcp": () => new Response(`event: message\ndata: ${JSON.stringify(list)}\n\n`),
};
const refuse = (code: ProblemCode) => () => problemResponse(new AppError(code, `It is ${code}.`));

async function run(paths: Paths, ...args: string[]) {
  const out: string[] = [];
  const status = await doctor(args, {
    stdout: (line) => void out.push(line),
    write: () => {},
    stderr: () => {},
    signal: new AbortController().signal,
    env: { BLIP2_API_KEY: "k", BLIP2_URL: "https://edge.example" },
    fetch: (input, init) => {
      const { pathname } = new URL(new Request(input, init).url);
      return Promise.resolve((paths[pathname] ?? refuse("not_found"))());
    },
  });
  return { status, out };
}

test("all is well: the address, the models and what none of them can do, the tools", async () => {
  const { status, out } = await run(healthy);
  expect(status).toBe(0);
  expect(out).toEqual([
    "ok    address: https://edge.example answers: ok",
    "ok    key and models: nano; no model can match",
    "ok    tools: caption_image",
    "ok    search: the key may search holiday",
  ]);
});

test("a key for looking alone is well, and told so; an address with a path of its own is not", async () => {
  const { status, out } = await run({ ...healthy, "/v1/namespaces": refuse("forbidden") });
  expect(status).toBe(0);
  expect(out.at(-1)).toMatch(/^ok {4}search: the key lacks the scope `search`/);
  await expect(run(healthy, "--url", "https://edge.example/mcp")).rejects.toThrow(/without \/mcp/);
});

test.each([
  ["/healthz", "not_found", 0],
  ["/v1/models", "unauthorized", 1],
  ["/mcp", "forbidden", 2],
  ["/v1/namespaces", "overloaded", 3],
] as const)(
  "%s answers with %s: that is told, and nothing after it",
  async (path, code, before) => {
    const { status, out } = await run({ ...healthy, [path]: refuse(code) }, "--json");
    expect(status).toBe(1);
    expect(out).toHaveLength(before + 1);
    expect(JSON.parse(out.at(-1) ?? "")).toMatchObject({
      ok: false,
      found: `It is ${code}. (${code})`,
    });
  },
);

test("what is no Worker is told apart from one without tools", async () => {
  const page = () => new Response("<html>", { headers: { "content-type": "text/html" } });
  expect((await run({ ...healthy, "/mcp": page })).out.at(-1)).toContain("no list of tools");
  const unready = () => Response.json({ object: "list", data: [] });
  expect((await run({ ...healthy, "/v1/models": unready })).out.at(-1)).toContain("no node serves");
});
