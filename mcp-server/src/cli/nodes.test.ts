import { expect, test } from "vitest";
import type { Node } from "@blip2-edge/shared/contracts/nodes";
import { AppError, problemResponse } from "@blip2-edge/shared/problem";
import { nodes } from "./nodes.ts";

const node = (more: Partial<Node> = {}): Node => ({
  ...{ name: "gpu-1", by: "token", origin: "https://gpu-1.example.com", key_ids: ["gpu-1.0a"] },
  ...{ joined_at: "2030-01-01T00:00:00.000Z", url: "https://gpu-1.example.com" },
  ...{ key_id: "gpu-1.0a", heard_at: "2030-01-01T00:00:00.000Z", state: "ready", version: "0.1.0" },
  ...{ weight: 1, jobs: 2, models: [{ model: "nano", model_revision: "0123456789abcdef" }] },
  ...more,
});
const token = `b2e_join_${"0".repeat(56)}`;
const made = { token, name: "gpu-1", origin: "https://gpu-1.example.com", expires_at: "2030" };

/** Runs the command against scripted answers; tells what it said and asked. */
async function run(args: readonly string[], answer: (url: string) => Response) {
  const [out, err, asked]: [string[], string[], string[]] = [[], [], []];
  const status = await nodes(args, {
    stdout: (line) => void out.push(line),
    write: (text) => void out.push(text),
    stderr: (line) => void err.push(line),
    signal: new AbortController().signal,
    env: { BLIP2_API_KEY: "operator", BLIP2_URL: "https://edge.example" },
    async fetch(input, init) {
      const request = new Request(input, init);
      const path = request.url.replace("https://edge.example", "");
      asked.push(`${request.method} ${path} ${await request.text()}`.trim());
      return answer(request.url);
    },
  });
  return { status, out, err, asked };
}

test("token: alone on standard output, with the command for the box beside it", async () => {
  const { out, err, asked } = await run(
    ["token", "gpu-1", "--origin", "https://gpu-1.example.com", "--expires-in", "10"],
    () => Response.json(made, { status: 201 }),
  );
  expect(asked).toEqual([
    'POST /v1/nodes/tokens {"name":"gpu-1","origin":"https://gpu-1.example.com","expires_in_s":600}',
  ]);
  expect(out).toEqual([token]);
  expect(err.at(-1)).toContain("blip2 join --edge https://edge.example");
  expect(err.join()).not.toContain(token);
});

test("list: a line each; what a node says of itself moves no cursor", async () => {
  const others = [
    node({ models: [{ model: "na\u001B[2Jno", model_revision: "0123456789abcdef" }] }),
    node({
      ...{ name: "gpu-2", url: null, key_id: null, heard_at: null, state: null, jobs: null },
      models: [],
    }),
  ];
  const { out, asked } = await run(["list"], () => Response.json({ nodes: others }));
  expect(asked).toEqual(["GET /v1/nodes"]);
  expect(out).toEqual([
    "gpu-1  ready  https://gpu-1.example.com  gpu-1.0a  2 jobs  heard 2030-01-01T00:00:00.000Z  na [2Jno 0123456789abcdef",
    "gpu-2  never heard of  https://gpu-1.example.com  gpu-1.0a",
  ]);
  const json = await run(["list", "--json"], () => Response.json({ nodes: [node()] }));
  expect(json.out.map((line) => JSON.parse(line) as Node)).toEqual([node()]);
});

test("rotate and remove: each, and one that there is not keeps none from its turn", async () => {
  const answer = (url: string) =>
    url.includes("gpu-9")
      ? problemResponse(new AppError("not_found", "No node has joined as gpu-9."))
      : Response.json(node({ key_ids: ["gpu-1.0b", "gpu-1.0a"] }));
  const rotated = await run(["rotate", "gpu-9", "gpu-1", "--overlap", "60"], answer);
  expect(rotated.asked).toEqual([
    'POST /v1/nodes/gpu-9/rotate {"overlap_s":60}',
    'POST /v1/nodes/gpu-1/rotate {"overlap_s":60}',
  ]);
  expect([rotated.status, rotated.out]).toEqual([
    ...[1, ["gpu-1 comes for the key gpu-1.0b with its next heartbeat"]],
  ]);
  const removed = await run(["remove", "gpu-1"], answer);
  expect(removed.asked).toEqual(["DELETE /v1/nodes/gpu-1"]);
  expect(removed.out).toEqual(["gpu-1 gets no more requests, and ends when it is done"]);
});

test.each([
  [["list", "more"]],
  [["token", "gpu-1"]],
  [["token", "--origin", "https://x"]],
  [["token", "GPU 1", "--origin", "https://x"]],
  [["rotate"]],
  [["rotate", "GPU 1"]],
  [["remove"]],
  [[]],
])("wrong usage: %j", async (args) => {
  await expect(run(args, () => Response.json({}))).rejects.toMatchObject({ code: "usage" });
});
