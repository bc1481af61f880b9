import { AppError } from "@blip2-edge/shared/problem";
import { createVerifier, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { expect, test } from "vitest";
import { createMetricsReader } from "./metrics-reader.ts";

const key = (name: string): string => `${name}:${name.padEnd(32, "x")}`;
const metrics = "# TYPE node_ready gauge\nnode_ready 1\n";

/** A node that knows the keys `edge` and `metrics`, and a reader that signs with `signs`. */
function setUp(signs = key("metrics"), answer = () => new Response(metrics)) {
  const verifier = createVerifier({ keys: parseSigningKeys(`${key("edge")},${key("metrics")}`) });
  const asked: string[] = [];
  const reader = createMetricsReader({
    nodeUrl: "http://node.example/base",
    keys: parseSigningKeys(signs),
    timeoutMs: 1000,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      asked.push(`${request.method} ${request.url}`);
      try {
        await verifier.verify(request, () => new Uint8Array());
      } catch (error) {
        return new Response(error instanceof AppError ? error.code : "", { status: 401 });
      }
      return answer();
    },
  });
  const get = (path: string, method = "GET") =>
    reader.answer(new Request(`http://127.0.0.1:9464${path}`, { method }));
  return { get, asked, reader };
}

const codeOf = async (response: Response): Promise<unknown> =>
  ((await response.json()) as { code?: unknown }).code;

test("what the node tells is handed on, read with a signature", async () => {
  const { get, asked } = setUp();
  const response = await get("/metrics");
  expect(response.status).toBe(200);
  expect(await response.text()).toBe(metrics);
  expect(asked).toEqual(["GET http://node.example/metrics"]);
});

test("nothing but GET /metrics reaches the node", async () => {
  const { get, asked } = setUp();
  expect((await get("/v1/catalog")).status).toBe(404);
  expect((await get("/metrics", "POST")).status).toBe(405);
  expect((await get("/healthz")).status).toBe(200);
  expect(asked).toEqual([]);
});

test.each([
  ["a key that the node does not know", "signature_invalid", key("stranger"), undefined],
  [
    "an answer that is too long",
    "node_protocol",
    undefined,
    () => new Response("x".repeat(4 * 1024 * 1024 + 1)),
  ],
  ["a node that fails", "node_protocol", undefined, () => new Response("why", { status: 500 })],
  [
    "a node that is away",
    "node_unavailable",
    undefined,
    () => {
      throw new TypeError("connect ECONNREFUSED");
    },
  ],
])("%s is the problem %s, so that the scrape counts as failed", async (_, code, signs, answer) => {
  const { get } = setUp(signs, answer);
  const response = await get("/metrics");
  expect(response.status).toBeGreaterThanOrEqual(400);
  expect(await codeOf(response)).toBe(code);
});

test("a second read signs anew", async () => {
  const { reader } = setUp();
  expect((await reader.read()).text).toBe(metrics);
  // The verifier takes no nonce twice.
  expect((await reader.read()).text).toBe(metrics);
});
