// The smoke test before Workers that answer in one way or another.
import { expect, test } from "vitest";
import { AppError, problemResponse, type ProblemCode } from "@blip2-edge/shared/problem";
import { smoke } from "./smoke.ts";

type Paths = Readonly<Record<string, (key: string | null) => Response>>;
const refuse = (code: ProblemCode) => problemResponse(new AppError(code, `It is ${code}.`));
const model = {
  ...{ id: "nano", object: "model", created: 0, owned_by: "x", model_revision: "0".repeat(16) },
  abilities: ["caption"],
};
const result = {
  ...{ text: "two owls", image_id: `img_${"0".repeat(64)}`, model: "nano" },
  ...{ model_revision: "0".repeat(16), log_prob: -0.1, finish_reason: "stop" },
  usage: { image_tokens: 16, prompt_tokens: 1, completion_tokens: 2 },
};
const healthy: Paths = {
  "/healthz": () => Response.json({ status: "ok" }),
  "/openapi.json": () => Response.json({ openapi: "3.1.0", paths: { "/v1/caption": {} } }),
  "/mcp": () => refuse("unauthorized"),
  "/v1/keys": () => Response.json({ keys: [] }),
  "/v1/models": (key) =>
    key === null ? refuse("unauthorized") : Response.json({ object: "list", data: [model] }),
  "/v1/caption": () => Response.json(result),
};

async function look(paths: Paths, key: string | null = "k") {
  const lines = await smoke(
    {
      url: "https://edge.example",
      fetch: (input, init) => {
        const request = new Request(input, init);
        const answer = paths[new URL(request.url).pathname];
        const given = request.headers.get("authorization");
        return Promise.resolve(answer?.(given) ?? refuse("not_found"));
      },
      sleep: () => Promise.resolve(),
      signal: new AbortController().signal,
    },
    key ?? undefined,
    new Uint8Array(8),
  );
  return Object.fromEntries(lines.map(({ check, state, found }) => [check, `${state} ${found}`]));
}

test("all is well, as far as a caption; without a key as far as what everybody may see", async () => {
  expect(await look(healthy)).toEqual({
    health: "ok https://edge.example answers",
    openapi: "ok OpenAPI 3.1.0, 1 paths",
    "no key": "ok /v1/models answers 401",
    agents: "ok /mcp answers under this host, and wants a key",
    "admin key": "ok it sees 0 keys",
    caption: 'ok "two owls"',
  });
  expect(Object.keys(await look(healthy, null))).toEqual(["health", "openapi", "no key", "agents"]);
});

test.each([
  ["/openapi.json", "openapi", () => new Response("<html>"), /wrong .*no document/],
  ["/mcp", "agents", () => refuse("forbidden"), /wrong .*MCP_HOSTS lacks this host/],
  ["/v1/models", "no key", () => Response.json({ object: "list", data: [] }), /wrong .*200/],
  ["/v1/keys", "request", () => refuse("unauthorized"), /wrong .*unauthorized/],
  ["/v1/caption", "caption", () => refuse("internal"), /wrong .*internal/],
  ["/v1/caption", "caption", () => refuse("node_unavailable"), /waits no node yet/],
] as const)(
  "%s is looked at, and what is wrong with it is told",
  async (path, check, answer, words) => {
    expect((await look({ ...healthy, [path]: answer }))[check]).toMatch(words);
  },
);

test("one that comes up late is waited for; one that does not is told", async () => {
  let left = 3;
  const late = () =>
    left-- > 0 ? new Response("", { status: 522 }) : Response.json({ status: "ok" });
  expect(await look({ ...healthy, "/healthz": late })).toHaveProperty("caption");
  await expect(
    look({ ...healthy, "/healthz": () => new Response("start_failed", { status: 500 }) }),
  ).rejects.toThrow(/500 start_failed/);
});
