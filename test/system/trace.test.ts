// One trace through the whole product: the caller's span, the Worker's with its hops, and below the hop that asked
// the node the node's own with its stages, all with one collector.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startCollector, type Collector, type OtlpSpan } from "../support/otlp-collector.ts";
import { samplesDir, startTestStack, type TestStack } from "../support/stack.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const callerSpan = "00f067aa0ba902b7";
let collector: Collector;
let stack: TestStack;

beforeAll(async () => {
  collector = await startCollector();
  stack = await startTestStack({
    vars: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint },
    nodeArgs: ["--otlp-endpoint", collector.endpoint],
  });
});
afterAll(async () => {
  await stack?.stop();
  await collector?.close();
});

test("from the caller to the decoder", async () => {
  const form = new FormData();
  form.set("image", new Blob([await readFile(path.join(samplesDir, "two-owls-and-a-lion.png"))]));
  const response = await fetch(`${stack.url}/v1/caption`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${stack.apiKey}`,
      traceparent: `00-${traceId}-${callerSpan}-01`,
    },
    body: form,
  });
  expect(response.status).toBe(200);
  const spans = await vi.waitFor(
    () => {
      const found = collector.spans().filter((span) => span.traceId === traceId);
      expect(found.map(({ name }) => name)).toContain("decode");
      expect(found.some(({ name }) => name === "POST /v1/infer")).toBe(true);
      expect(found.some(({ name }) => name === "POST caption")).toBe(true);
      return found;
    },
    { timeout: 15_000 },
  );
  const below = (parent: string | undefined): readonly OtlpSpan[] =>
    spans.filter(({ parentSpanId }) => parentSpanId === parent);
  const [own] = below(callerSpan);
  expect(own?.name).toBe("POST caption");
  const hop = below(own?.spanId).find(({ name }) => name === "node");
  const [node] = below(hop?.spanId);
  expect(node?.name).toBe("POST /v1/infer");
  expect(below(node?.spanId).map(({ name }) => name)).toEqual(
    expect.arrayContaining(["vision", "prefill", "decode"]),
  );
  // And the lines of both logs name it.
  const lines = stack.lines.filter((line) => line.includes(traceId));
  expect(lines.some((line) => line.includes('"route":"caption"'))).toBe(true);
  expect(lines.some((line) => line.includes('"/v1/infer"'))).toBe(true);
});
