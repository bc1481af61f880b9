// What is seen of requests: one line of the log, the spans of a trace from the caller to the node, the times of
// the hops. And what is not: marked values go through every route, in every place that takes a text, in success
// and in failure; then every line and every span is searched for them.
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createClient } from "@blip2-edge/shared/client";
import { AppError } from "@blip2-edge/shared/problem";
import { pathFields, routeList } from "@blip2-edge/shared/routes";
import type { Route } from "@blip2-edge/shared/routes/route";
import { startEdge, type Edge } from "../support/edge.ts";
import { startCollector, type Collector, type OtlpSpan } from "../support/otlp-collector.ts";
import { jpeg, png } from "../support/pictures.ts";

const operatorKey = `b2e_operator_${"c4n4ryOper8or".repeat(4)}`;
/** Each is a text that a secret, a picture's owner or a caller would not want to find in a log. */
const canary = {
  question: "c4naryquestion",
  user: "c4naryuser",
  password: "c4narypassword",
  token: "c4narytoken",
  path: "c4narypath",
  header: "c4naryheader",
  field: "c4naryfield",
  collector: "c4narycollector",
} as const;
const secretUrl = `https://pictures.example.com/${canary.path}/a.jpg?token=${canary.token}`;

let edge: Edge;
let collector: Collector;
/** What must not be found, by what it is. */
const secrets = new Map<string, string>(Object.entries(canary));
let picture: Buffer;

beforeAll(async () => {
  picture = await jpeg(1);
  collector = await startCollector();
  edge = await startEdge({
    vars: {
      ...{ OPERATOR_KEYS: operatorKey, CATALOG_TTL_MS: "600000" },
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      OTEL_EXPORTER_OTLP_HEADERS: `x-collector-key=${canary.collector}`,
    },
    internet(request) {
      const { hostname, searchParams } = new URL(request.url);
      if (hostname === "broken.example.com") throw new Error(`no way to ${request.url}`);
      const to = searchParams.get("to");
      return to === null
        ? new Response(new Uint8Array(picture))
        : new Response(null, { status: 302, headers: { location: to } });
    },
  });
  // What the node serves is known from here on.
  await edge.call("/v1/models");
  secrets.set("operator key", operatorKey.slice(-30));
  for (const [name, key] of [
    ["key of ada", edge.ada],
    ["key of bob", edge.bob],
  ] as const) {
    secrets.set(name, key.slice(17));
  }
  for (const { secret } of edge.node.keys) secrets.set("node key", secret);
  secrets.set("picture", picture.toString("base64").slice(40, 80));
});
afterAll(async () => {
  await edge?.stop();
  await collector?.close();
});

/** With every field that any route knows, so that each looks at something of it. */
const everyField = () => ({
  ...{ question: canary.question, questions: [canary.question], prompt: canary.question },
  ...{ texts: [canary.question], labels: [canary.question], text: canary.question },
  ...{ input: canary.question, messages: [{ role: "user", content: canary.question }] },
  ...{ template: `${canary.question} {}`, name: canary.question, [canary.field]: canary.field },
});
const image = (url: string) => ({ image: { url } });
const headers = {
  "content-type": "application/json",
  cookie: `session=${canary.header}`,
  "user-agent": canary.header,
  "x-forwarded-for": canary.header,
  referer: `https://example.com/${canary.header}`,
  tracestate: `vendor=${canary.header}`,
  baggage: `user=${canary.header}`,
  "if-none-match": `"${canary.header}"`,
  "idempotency-key": canary.header,
};

const pathOf = ({ path }: Route, value: string) =>
  pathFields(path).reduce((filled, name) => filled.replace(`{${name}}`, value), path);

/** The spans of a trace; they are sent after the answer. */
const spansOf = (traceId: string, count: number): Promise<readonly OtlpSpan[]> =>
  vi.waitFor(() => {
    const spans = collector.spans().filter((span) => span.traceId === traceId);
    expect(spans.length).toBeGreaterThanOrEqual(count);
    return spans;
  });
const attributes = ({ attributes: list }: OtlpSpan) =>
  Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value as object)[0]]));

describe("a trace", () => {
  const callerSpan = "00f067aa0ba902b7";
  const traced = (traceId: string, flags = "01") => ({
    traceparent: `00-${traceId}-${callerSpan}-${flags}`,
  });

  test("goes from the caller through the Worker's hops to the node, and the log line names it", async () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    edge.node.failNext({ kind: "drop" });
    const before = edge.node.traceparents.length;
    const form = new FormData();
    form.set("image", new Blob([new Uint8Array(await jpeg(3))]));
    const response = await edge.call("/v1/caption", {
      ...{ method: "POST", body: form, headers: traced(traceId) },
    });
    expect(response.status).toBe(200);
    expect(edge.lastEvent()).toMatchObject({
      ...{ trace_id: traceId, route: "caption", node_attempts: 2 },
    });

    const spans = await spansOf(traceId, 8);
    const [own] = spans.filter(({ parentSpanId }) => parentSpanId === callerSpan);
    expect(own?.name).toBe("POST caption");
    expect(attributes(own as OtlpSpan)).toEqual({
      "http.request.method": "POST",
      "http.route": "caption",
      "http.response.status_code": "200",
      "gen_ai.request.model": "fake",
      "blip2.model_revision": "0123456789abcdef",
      "blip2.cache": "miss",
      "blip2.served": "live",
      "blip2.inferences": "1",
    });
    const hops = spans.filter((span) => span !== own);
    expect(hops.every(({ parentSpanId }) => parentSpanId === own?.spanId)).toBe(true);
    expect(new Set(hops.map(({ name }) => name))).toEqual(
      new Set(["auth", "body", "decode", "lookup", "quota", "node", "store"]),
    );
    // Each attempt is a span of its own, and the node hears in which one it is asked.
    const attempts = hops.filter(({ name }) => name === "node");
    expect(attempts.map(({ status }) => status.code)).toEqual([2, 0]);
    expect(edge.node.traceparents.slice(before)).toEqual(
      attempts.map(({ spanId }) => `00-${traceId}-${spanId}-01`),
    );
    for (const { startTimeUnixNano, endTimeUnixNano } of spans) {
      expect(BigInt(endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(startTimeUnixNano));
    }
    const [sent] = collector.requests;
    expect(sent).toMatchObject({ path: "/v1/traces", contentType: "application/json" });
  });

  test("that its caller does not keep is not kept, here or at the node; a stranger's is not sent at all", async () => {
    const notKept = "11111111111111111111111111111111";
    const stranger = "22222222222222222222222222222222";
    const form = new FormData();
    form.set("image", new Blob([new Uint8Array(await jpeg(4))]));
    await edge.call("/v1/caption", { method: "POST", body: form, headers: traced(notKept, "00") });
    expect(edge.node.traceparents.at(-1)).toMatch(new RegExp(`^00-${notKept}-[0-9a-f]{16}-00$`));
    expect(edge.lastEvent()).toMatchObject({ trace_id: notKept });
    await edge.call("/v1/models", { key: null, headers: traced(stranger) });
    // What comes after it is there, so it would be.
    const last = "33333333333333333333333333333333";
    await edge.call("/v1/models", { headers: traced(last) });
    await spansOf(last, 1);
    const seen = new Set(collector.spans().map(({ traceId }) => traceId));
    expect([seen.has(notKept), seen.has(stranger)]).toEqual([false, false]);
  });

  test("begins here where the caller has none, and the node is told that it is kept", async () => {
    await edge.upload("/v1/caption", await jpeg(5));
    const traceId = String(edge.lastEvent()["trace_id"]);
    expect(traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(edge.node.traceparents.at(-1)).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    const [own] = (await spansOf(traceId, 8)).filter(({ name }) => name === "POST caption");
    expect(own).not.toHaveProperty("parentSpanId");
  });
});

test("an answer says how long each hop took, and the log the same", async () => {
  const file = await jpeg(6);
  const timings = (response: Response) =>
    Object.fromEntries(
      (response.headers.get("server-timing") ?? "")
        .split(", ")
        .map((part) => part.split(";dur=") as [string, string]),
    );
  const miss = timings(await edge.upload("/v1/caption", file));
  expect(Object.keys(miss)).toEqual([
    ...["auth", "body", "decode", "lookup", "quota", "node", "store"],
    ...["node-queue", "node-vision", "node-total", "total"],
  ]);
  expect(miss).toMatchObject({ "node-queue": "1.5", "node-vision": "2", "node-total": "4.5" });
  expect(edge.lastEvent()).toMatchObject({
    ...{ event: "request", method: "POST", route: "caption", status: 200, tenant: "ada" },
    ...{ model: "fake", cache: "miss", inferences: 1, node_attempts: 1, image_bytes: file.length },
    ...{ node_queue_ms: 1.5, node_ms: Number(miss["node"]) },
  });
  expect(edge.lastEvent()["duration_ms"]).toBeGreaterThanOrEqual(Number(miss["total"]));
  const hit = timings(await edge.upload("/v1/caption", file));
  // A file that was seen before is not decoded again.
  expect(Object.keys(hit)).toEqual(["auth", "body", "lookup", "total"]);
  const url = "https://pictures.example.com/b.jpg";
  const fetched = timings(await edge.json("/v1/caption", image(url)));
  expect(Object.keys(fetched)).toContain("fetch");
  const refused = await edge.call("/v1/models", { key: null });
  expect(Object.keys(timings(refused))).toEqual(["auth", "total"]);
  expect(edge.lastEvent()).toMatchObject({
    ...{ route: "models", status: 401, problem: "unauthorized" },
    internal: "no Authorization header",
  });
});

// Last, because a node that fails so often is not asked for a while.
test("of requests with every mark in every place, whatever becomes of them, nothing is told", async () => {
  const bodies = [
    JSON.stringify({ ...everyField(), ...image(secretUrl) }),
    JSON.stringify({ ...everyField(), image: { base64: picture.toString("base64") } }),
    `{"question": "${canary.question}" and this is no JSON`,
    JSON.stringify({ image: canary.field, limit: canary.question }),
    // Short, so that a parser's complaint would quote all of it.
    canary.question,
  ];
  const keys = [edge.ada, operatorKey, null, `b2e_${canary.token}`, canary.token];
  for (const route of routeList) {
    for (const key of keys) {
      for (const [at, body] of bodies.entries()) {
        const withBody = !["GET", "DELETE"].includes(route.method);
        const query = `?url=${encodeURIComponent(secretUrl)}&prompt=${canary.question}&${canary.field}=${edge.bob}`;
        const where = pathOf(route, at % 2 === 0 ? edge.ada : canary.path);
        const response = await edge.call(where + (at === 1 ? "" : query), {
          ...{ method: route.method, key, headers },
          ...(withBody ? { body } : {}),
        });
        await response.arrayBuffer();
      }
    }
  }
  const routesSeen = new Set(edge.events.map((event) => event["route"]));
  expect([...routesSeen]).toEqual(expect.arrayContaining(routeList.map(({ id }) => id)));
  expectNothingTold();
}, 120_000);

test("nor of those that are answered, refused by the guard, or failed by a node", async () => {
  const client = createClient({ url: edge.url, key: edge.ada });
  const bytes = { bytes: await png(2) };
  secrets.set("picture sent", Buffer.from(bytes.bytes).toString("base64").slice(60, 100));
  const told = await client.vqa({ image: bytes, questions: [canary.question, "b"] });
  secrets.set("image_id", told.image_id.slice(4));
  await client.vqa({ image: { image_id: told.image_id }, question: canary.question });
  await client.caption({ image: { url: secretUrl }, prompt: canary.question });
  await client.match({ image: bytes, texts: [canary.question] });
  await client.classify({ image: bytes, labels: [canary.question, "b"] });
  await client.embed({ text: canary.question });
  const streamed = client.streams.vqa({ image: bytes, question: `streamed ${canary.question}` });
  for await (const event of streamed) expect(event.event).toMatch(/text|result/);
  const image_url = { url: `data:image/png;base64,${Buffer.from(bytes.bytes).toString("base64")}` };
  const content = [
    { type: "image_url", image_url },
    { type: "text", text: `chat ${canary.question}` },
  ];
  const chat = { model: "fake", messages: [{ role: "user", content }], user: canary.user };
  for (const stream of [true, false]) {
    const response = await edge.json("/v1/chat/completions", { ...chat, stream });
    expect(response.status, await response.text()).toBe(200);
  }
  expect(
    edge.node.asked.some(({ request }) =>
      request.texts.some((text) => text?.includes(canary.question)),
    ),
  ).toBe(true);

  for (const url of [
    `https://${canary.user}:${canary.password}@pictures.example.com/`,
    `https://${canary.user}:${canary.password}/@pictures.example.com/`,
    `http:\\\\${canary.user}:${canary.password}@127.0.0.1\\${canary.path}`,
    `ftp://${canary.user}:${canary.password}@h.example/${canary.path}`,
    `data:image/jpeg;base64,${picture.toString("base64")}`,
    `http://127.0.0.1/${canary.path}?${canary.token}#${canary.token}`,
    `https://pictures.example.com/?to=${encodeURIComponent(`http://${canary.user}:${canary.password}@127.0.0.1/`)}`,
    `https://pictures.example.com/?to=${encodeURIComponent(`/${canary.path}?to=//127.0.0.1/${canary.path}`)}`,
    `https://broken.example.com/${canary.path}?${canary.token}`,
  ]) {
    await (await edge.json("/v1/caption", image(url))).arrayBuffer();
  }
  for (const [at, fault] of (
    [
      { kind: "problem", error: new AppError("prompt_too_long", "The text is too long.") },
      { kind: "text", status: 502, body: `<p>${canary.question}` },
      {
        kind: "json",
        body: { [canary.field]: canary.question, results: [{ text: canary.question }] },
      },
      { kind: "die_in_answer" },
      { kind: "drop" },
    ] as const
  ).entries()) {
    // A dropped connection is tried once more.
    edge.node.failNext(fault, ...(fault.kind === "drop" ? [fault] : []));
    const asked = { question: `${canary.question} ${at}` };
    await (await edge.upload("/v1/vqa", bytes.bytes, asked)).arrayBuffer();
  }
  for (const path of [
    `/${canary.path}`,
    `/v1/${edge.ada}?${canary.token}`,
    `/${encodeURIComponent(canary.question)}`,
  ]) {
    await (await edge.call(path)).arrayBuffer();
    await (await edge.call(path, { method: "DELETE", key: null })).arrayBuffer();
  }
  const multipart = { ...headers, "content-type": `multipart/form-data; boundary=${canary.field}` };
  await (
    await edge.call("/v1/caption", {
      method: "POST",
      headers: multipart,
      body: `--${canary.field}\r\n${canary.question}`,
    })
  ).arrayBuffer();
  const problems = new Set(edge.events.map((event) => event["problem"]));
  for (const code of [
    "url_refused",
    "fetch_failed",
    "prompt_too_long",
    "node_unavailable",
    "node_protocol",
    "not_found",
    "invalid_request",
    "unauthorized",
    "forbidden",
  ]) {
    expect(problems).toContain(code);
  }
  expectNothingTold();
});

function expectNothingTold(): void {
  const told = [...edge.lines, ...collector.requests.map(({ text }) => text)];
  expect(collector.requests.length).toBeGreaterThan(0);
  for (const [what, secret] of secrets) {
    expect(
      told.filter((text) => text.includes(secret)),
      what,
    ).toEqual([]);
  }
}

test("every field of a request's line is written down", async () => {
  const page = await readFile(new URL("../../docs/edge-observability.md", import.meta.url), "utf8");
  const table = page.slice(page.indexOf("| field"), page.indexOf("## Hops"));
  const written = new Set(Array.from(table.matchAll(/`(\w+)`/g), ([, name]) => name));
  const isKind = (name: string): boolean => /_(?:ms|fault)$/.test(name);
  const lines = edge.events.filter(({ event }) => event === "request");
  const seen = new Set(lines.flatMap((line) => Object.keys(line)));
  expect([...seen].filter((name) => !written.has(name) && !isKind(name))).toEqual(["event"]);
});
