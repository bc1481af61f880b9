import { AppError, type Problem } from "@blip2-edge/shared/problem";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import { readEvents } from "@blip2-edge/shared/wire/events";
import {
  type CatalogModel,
  catalogSchema,
  inferResponseSchema,
} from "@blip2-edge/shared/wire/protocol";
import {
  createSigner,
  createVerifier,
  parseSigningKeys,
  type RequestToSign,
  type Verifier,
} from "@blip2-edge/shared/wire/signature";
import { describe, expect, test, vi } from "vitest";
import type { Dispatched } from "../engine/dispatcher.ts";
import type { Job } from "../engine/messages.ts";
import type { EngineState, OnText } from "../engine/supervisor.ts";
import { createLog } from "../observe/log.ts";
import { createMetrics } from "../observe/metrics.ts";
import { createDoor } from "./app.ts";

const size = 14;
const revision = "0123456789abcdef";
const origin = "http://node.test";
const keys = parseSigningKeys(
  "new:0123456789abcdef0123456789abcdef,old:fedcba9876543210fedcba9876543210",
);
const request = {
  model: "nano",
  model_revision: revision,
  partition: "a".repeat(32),
  image: { image_id: `img_${"b".repeat(64)}`, size },
  texts: [null],
  generation: {},
  deadline_ms: 1000,
};
const outcome: Extract<Dispatched, { kind: "generate" }> = {
  kind: "generate",
  results: [
    {
      text: "a cat",
      token_ids: [5, 6, 2],
      finish_reason: "stop",
      log_prob: -0.1,
      usage: { image_tokens: 4, prompt_tokens: 1, completion_tokens: 3 },
    },
  ],
  firstTokenMs: 17,
  visionPasses: 1,
  stages: { vision: 12.34, prefill: 5, decode: 6 },
  queueMs: 0.5,
};

type RunStub = (job: Job, signal: AbortSignal, onText?: OnText) => Promise<Dispatched>;

function openDoor({
  run = () => Promise.resolve(outcome),
  state = "ready",
  held = false,
  draining = false,
  bodyTimeoutMs = 1000,
  verifier = createVerifier({ keys }),
  reload = () => Promise.resolve([]),
}: {
  run?: RunStub;
  state?: EngineState;
  held?: boolean;
  draining?: boolean;
  bodyTimeoutMs?: number;
  verifier?: Pick<Verifier, "identify">;
  reload?: Parameters<typeof createDoor>[0]["engine"]["reload"];
} = {}) {
  const lines: Record<string, unknown>[] = [];
  const jobs: Job[] = [];
  const app = createDoor({
    engine: {
      state,
      models: [
        {
          model: "nano",
          model_revision: revision,
          family: "opt",
          image_size: size,
          abilities: ["caption", "vqa"],
          question_template: "Question: {} Answer:",
        },
      ],
      holds: () => held,
      retryAfterS: () => 7,
      reload,
    },
    dispatcher: {
      run(job, signal, onText) {
        jobs.push(job);
        return run(job, signal, onText);
      },
    },
    verifier,
    metrics: createMetrics({
      load: () => ({ interactive: { waiting: 3, workMs: 1500 }, bulk: { waiting: 0, workMs: 0 } }),
      jobsRunning: () => 1,
      featureStoreBytes: () => 0,
      engineRestarts: () => 2,
      engineReady: () => true,
      nodeReady: () => true,
      models: () => [],
      doorRssBytes: () => 1,
      doorLoopLag: () => ({ p50Ms: 0, p99Ms: 0, maxMs: 0 }),
    }),
    log: createLog((line) => void lines.push(JSON.parse(line) as Record<string, unknown>)),
    draining: () => draining,
    bodyTimeoutMs,
    requestId: () => "id",
  });
  const send = async (
    method: string,
    path: string,
    { body, contentType, key = 0, extra = {} }: SendOptions = {},
  ): Promise<Response> => {
    const signing = keys[key];
    if (signing === undefined) throw new Error("no such key");
    const signer = createSigner({ keys: [signing] });
    const toSign: RequestToSign = {
      method,
      url: `${origin}${path}`,
      ...(body === undefined ? {} : { body }),
      ...(contentType === undefined ? {} : { contentType }),
    };
    const headers = { ...(await signer.sign(toSign)), ...extra };
    return app.request(`${origin}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
    });
  };
  const sendJson = (json: unknown, options: SendOptions = {}) =>
    send("POST", "/v1/infer", {
      body: new TextEncoder().encode(JSON.stringify(json)),
      contentType: "application/json",
      ...options,
    });
  const sendFrame = (json: unknown, pixels: Uint8Array) => {
    const frame = writeFrame({ json: JSON.stringify(json), pixels });
    return send("POST", "/v1/infer", { body: frame.body, contentType: frame.contentType });
  };
  return { app, send, sendJson, sendFrame, lines, jobs };
}
interface SendOptions {
  body?: Uint8Array;
  contentType?: string;
  key?: number;
  extra?: Record<string, string>;
}

const pixels = new Uint8Array(size * size * 3).fill(9);
const problemOf = async (response: Response): Promise<Problem> => {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(response.headers.get("blip2-protocol")).toBe("1");
  return (await response.json()) as Problem;
};

describe("health", () => {
  test("200: alive and ready say no more than that, without a signature", async () => {
    const { app, lines } = openDoor();
    expect(await (await app.request("/healthz")).json()).toEqual({ status: "ok" });
    expect(await (await app.request("/readyz")).json()).toEqual({ status: "ready" });
    expect(lines).toEqual([]);
  });
  test.each(["starting", "down", "stopped"] as const)("503: not ready while %s", async (state) => {
    const { app } = openDoor({ state });
    expect((await app.request("/readyz")).status).toBe(503);
    expect((await app.request("/healthz")).status).toBe(200);
  });
  test("503: not ready while draining", async () => {
    expect((await openDoor({ draining: true }).app.request("/readyz")).status).toBe(503);
  });
});

describe("signature", () => {
  test.each([
    "/v1/infer",
    "/v1/match",
    "/v1/embed",
    "/v1/reload",
    "/v1/catalog",
    "/metrics",
    "/",
    "/nothing",
    "/healthz/x",
  ])("401: %s without one, the same mute problem everywhere", async (path) => {
    const { app } = openDoor();
    const response = await app.request(path);
    expect(response.status).toBe(401);
    expect(await problemOf(response)).toEqual({
      type: "urn:blip2-edge:problem:signature_invalid",
      title: "The request's signature is not valid",
      status: 401,
      code: "signature_invalid",
      retryable: false,
    });
  });
  test("401: a body that is not the signed one", async () => {
    const { send } = openDoor();
    const response = await send("POST", "/v1/infer", {
      body: new TextEncoder().encode("{}"),
      contentType: "application/json",
      extra: { "content-digest": "sha-256=:AAAA:" },
    });
    expect(response.status).toBe(401);
  });
  test("401: an unsigned body is never read", async () => {
    const { app } = openDoor();
    const pull = vi.fn();
    const body = new ReadableStream({ pull }, { highWaterMark: 0 });
    const response = await app.request("/v1/infer", { method: "POST", body, duplex: "half" });
    expect(response.status).toBe(401);
    expect(pull).not.toHaveBeenCalled();
  });
  test("200: either of two live keys signs", async () => {
    const { sendJson } = openDoor({ held: true });
    expect((await sendJson(request, { key: 0 })).status).toBe(200);
    expect((await sendJson(request, { key: 1 })).status).toBe(200);
  });
});

describe("POST /v1/infer", () => {
  test("200: pixels become a job, the outcome the answer", async () => {
    const { sendFrame, jobs, lines } = openDoor();
    const response = await sendFrame(request, pixels);
    expect(response.status).toBe(200);
    const answer = inferResponseSchema.parse(await response.json());
    expect(answer).toMatchObject({ model: "nano", vision_passes: 1, results: outcome.results });
    expect(response.headers.get("server-timing")).toMatch(
      /^queue;dur=0.5, vision;dur=12.3, prefill;dur=5, decode;dur=6, total;dur=[\d.]+$/,
    );
    expect(jobs[0]).toMatchObject({
      kind: "generate",
      partition: request.partition,
      texts: [null],
      pixels,
      generation: { max_new_tokens: 20 },
    });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ event: "request", route: "/v1/infer", outcome: "ok" });
    expect(JSON.stringify(lines)).not.toContain("a cat");
  });
  test("200: JSON alone when the features are held", async () => {
    const { sendJson, jobs } = openDoor({ held: true });
    expect((await sendJson(request)).status).toBe(200);
    expect(jobs[0]).not.toHaveProperty("pixels");
  });
  test("428: JSON alone when they are not, without a place in the queue", async () => {
    const { sendJson, jobs } = openDoor();
    const response = await sendJson(request);
    expect(response.status).toBe(428);
    expect((await problemOf(response)).code).toBe("pixels_required");
    expect(jobs).toEqual([]);
  });
  test("400: every fault of the form is named", async () => {
    const { sendJson } = openDoor();
    const response = await sendJson({ ...request, texts: [], generation: { top_q: 1 } });
    expect(response.status).toBe(400);
    const problem = await problemOf(response);
    expect(problem.errors?.map((error) => error.field)).toEqual(["texts", "generation"]);
  });
  test("400: not JSON", async () => {
    const { send } = openDoor();
    const response = await send("POST", "/v1/infer", {
      body: new TextEncoder().encode("{"),
      contentType: "application/json",
    });
    expect(response.status).toBe(400);
  });
  test("400: pixels of another size than the model's, or than they say", async () => {
    const { sendFrame } = openDoor();
    const other = { ...request, image: { ...request.image, size: 28 } };
    expect((await sendFrame(other, new Uint8Array(28 * 28 * 3))).status).toBe(400);
    expect((await sendFrame(request, new Uint8Array(5))).status).toBe(400);
  });
  test("400: another version of the protocol, however well signed", async () => {
    const { app } = openDoor({
      verifier: { identify: async (_, readBody) => ({ body: await readBody(), keyId: "new" }) },
    });
    const headers = { "blip2-protocol": "2" };
    const response = await app.request(`${origin}/v1/catalog`, { headers });
    expect(response.status).toBe(400);
    expect((await problemOf(response)).code).toBe("protocol_unsupported");
  });
  test("404: a model that is not served", async () => {
    const response = await openDoor().sendJson({ ...request, model: "other" });
    expect(response.status).toBe(404);
    expect((await problemOf(response)).code).toBe("model_not_found");
  });
  test("409: another revision of it", async () => {
    const response = await openDoor().sendJson({ ...request, model_revision: "f".repeat(16) });
    expect(response.status).toBe(409);
    expect((await problemOf(response)).detail).toContain(revision);
  });
  test.each(["/v1/infer", "/v1/match", "/v1/embed"])("405: another method on %s", async (path) => {
    expect((await openDoor().send("GET", path)).status).toBe(405);
  });
  test.each(["/v1/match", "/v1/embed"])(
    "400: %s of a model that captions is refused and counted under its route",
    async (path) => {
      const { send } = openDoor();
      const { texts: _, generation: __, ...about } = request;
      const more = path === "/v1/match" ? { texts: ["a"], scores: ["itm"] } : { features: "query" };
      const body = new TextEncoder().encode(JSON.stringify({ ...about, ...more }));
      const response = await send("POST", path, { body, contentType: "application/json" });
      expect(response.status).toBe(400);
      expect((await problemOf(response)).detail).toMatch(/it can: caption, vqa\. No model of this/);
      const text = await (await send("GET", "/metrics")).text();
      expect(text).toContain(`requests_total{route="${path}",outcome="invalid_request"} 1`);
    },
  );
  test("408: a body that drips", async () => {
    const { app } = openDoor({ bodyTimeoutMs: 20 });
    const body = new TextEncoder().encode("{}");
    const headers = await createSigner({ keys }).sign({
      method: "POST",
      url: `${origin}/v1/infer`,
      body,
      contentType: "application/json",
    });
    const stalled = new ReadableStream({ start: (controller) => controller.enqueue(body) });
    const response = await app.request(`${origin}/v1/infer`, {
      method: "POST",
      headers,
      body: stalled,
      duplex: "half",
    });
    expect(response.status).toBe(408);
    expect((await problemOf(response)).code).toBe("request_timeout");
  });
  test("413: a body that says it is too large, and one that does not say", async () => {
    const { send } = openDoor();
    const body = new Uint8Array(5 * 1024 * 1024);
    const options = { body, contentType: "application/json" };
    const declared = { ...options, extra: { "content-length": String(body.length) } };
    expect((await send("POST", "/v1/infer", declared)).status).toBe(413);
    expect((await send("POST", "/v1/infer", options)).status).toBe(413);
  });
  test("415: another type of body", async () => {
    const { send } = openDoor();
    const body = new Uint8Array(4);
    const response = await send("POST", "/v1/infer", { body, contentType: "image/png" });
    expect(response.status).toBe(415);
  });
  test("503: overloaded and the engine's end, with Retry-After", async () => {
    for (const code of ["overloaded", "engine_restarted"] as const) {
      const run: RunStub = () => Promise.reject(new AppError(code, "busy", { retryAfterS: 4 }));
      const response = await openDoor({ held: true, run }).sendJson(request);
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toBe("4");
      expect(await problemOf(response)).toMatchObject({ code, retryable: true });
    }
  });
  test("503: not ready, with Retry-After, before anything else is looked at", async () => {
    const { sendJson, send } = openDoor({ state: "down" });
    const response = await sendJson({ nonsense: true });
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("7");
    const body = new TextEncoder().encode("{");
    const bad = { body, contentType: "application/json" };
    expect((await send("POST", "/v1/match", bad)).status).toBe(503);
  });
  test("504: the deadline passes", async () => {
    const run: RunStub = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
    const { sendJson, lines } = openDoor({ held: true, run });
    const response = await sendJson({ ...request, deadline_ms: 10 });
    expect(response.status).toBe(504);
    expect((await problemOf(response)).code).toBe("deadline_exceeded");
    expect(lines[0]).toMatchObject({ outcome: "deadline_exceeded", status: 504 });
  });
  test("499: the client goes away and the job hears of it", async () => {
    const gone = new AbortController();
    let reason: unknown;
    const run: RunStub = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          reason = signal.reason;
          reject(signal.reason as Error);
        });
        gone.abort();
      });
    const { app } = openDoor({ held: true, run });
    const body = new TextEncoder().encode(JSON.stringify(request));
    const contentType = "application/json";
    const url = `${origin}/v1/infer`;
    const headers = await createSigner({ keys }).sign({ method: "POST", url, body, contentType });
    const response = await app.request(url, { method: "POST", headers, body, signal: gone.signal });
    expect(response.status).toBe(499);
    expect(reason).toMatchObject({ code: "canceled" });
  });
  test("500: what nobody expected is mute outside and exact in the log", async () => {
    const run: RunStub = () => Promise.reject(new Error("the secret inside"));
    const { sendJson, lines } = openDoor({ held: true, run });
    const response = await sendJson(request);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("secret");
    expect(lines[0]?.["level"]).toBe("error");
    expect(String(lines[0]?.["internal"])).toContain("the secret inside");
  });
});

describe("POST /v1/infer with stream: true", () => {
  const streamed = { ...request, stream: true };
  const eventsOf = async (response: Response) => {
    const events = [];
    for await (const event of readEvents(response.body ?? new ReadableStream())) {
      events.push(event.event === "problem" ? { event: "problem", code: event.error.code } : event);
    }
    return events;
  };
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  test("200: the texts as they are written, then the whole answer", async () => {
    const run: RunStub = async (_, __, onText) => {
      onText?.(0, "a ");
      await settled();
      onText?.(0, "cat");
      return outcome;
    };
    const { sendJson, lines, send, jobs } = openDoor({ held: true, run });
    const response = await sendJson(streamed);
    expect(response.status).toBe(200);
    expect(jobs[0]).toMatchObject({ stream: true });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(response.headers.get("blip2-protocol")).toBe("1");
    const events = await eventsOf(response);
    const plain = await (await sendJson(request)).json();
    expect(events).toEqual([
      { event: "text", data: { index: 0, text: "a " } },
      { event: "text", data: { index: 0, text: "cat" } },
      { event: "result", data: plain },
    ]);
    expect(lines[0]).toMatchObject({ outcome: "ok", status: 200, vision_passes: 1, texts: 1 });
    expect(await (await send("GET", "/metrics")).text()).toContain("inferences_total 2");
  });

  test("200: an answer without a text on its way is one event", async () => {
    const { sendJson } = openDoor({ held: true });
    expect((await eventsOf(await sendJson(streamed))).map(({ event }) => event)).toEqual([
      "result",
    ]);
  });

  test("a request that asks for no stream hears none", async () => {
    const run: RunStub = (_, __, onText) => {
      expect(onText).toBeUndefined();
      return Promise.resolve(outcome);
    };
    const response = await openDoor({ held: true, run }).sendJson({ ...request, stream: false });
    expect(response.headers.get("content-type")).toBe("application/json");
  });

  test("a failure before the first event is a problem with its status", async () => {
    const run: RunStub = () =>
      Promise.reject(new AppError("overloaded", "busy", { retryAfterS: 9 }));
    const response = await openDoor({ held: true, run }).sendJson(streamed);
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "9"]);
    expect((await problemOf(response)).code).toBe("overloaded");
  });

  test("a failure after it is the last event, and what the log says", async () => {
    const run: RunStub = async (_, __, onText) => {
      onText?.(0, "a");
      await settled();
      throw new Error("the secret inside");
    };
    const { sendJson, lines } = openDoor({ held: true, run });
    const response = await sendJson(streamed);
    expect(response.status).toBe(200);
    const text = await response.clone().text();
    expect(text).not.toContain("secret");
    expect((await eventsOf(response)).at(-1)).toEqual({ event: "problem", code: "internal" });
    await settled();
    expect(lines[0]).toMatchObject({ outcome: "internal", level: "error" });
    expect(String(lines[0]?.["internal"])).toContain("the secret inside");
  });

  test("499: a client that stops reading in the middle cancels its job", async () => {
    let reason: unknown;
    const run: RunStub = (_, signal, onText) =>
      new Promise((_resolve, reject) => {
        onText?.(0, "a");
        signal.addEventListener("abort", () => {
          reason = signal.reason;
          reject(signal.reason as Error);
        });
      });
    const { sendJson, lines } = openDoor({ held: true, run });
    const response = await sendJson(streamed);
    await response.body?.cancel();
    await settled();
    expect(reason).toMatchObject({ code: "canceled" });
    expect(lines[0]).toMatchObject({ outcome: "canceled" });
  });

  test("the deadline ends a stream that has begun with its problem", async () => {
    const run: RunStub = (_, signal, onText) =>
      new Promise((_resolve, reject) => {
        onText?.(0, "a");
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
    const { sendJson } = openDoor({ held: true, run });
    const events = await eventsOf(await sendJson({ ...streamed, deadline_ms: 20 }));
    expect(events.at(-1)).toEqual({ event: "problem", code: "deadline_exceeded" });
  });
});

describe("POST /v1/reload", () => {
  test("200: answers with the catalogue that is served then", async () => {
    const models: CatalogModel[] = [
      {
        model: "nano",
        model_revision: "f".repeat(16),
        family: "opt",
        image_size: size,
        abilities: [],
      },
    ];
    const { send } = openDoor({ reload: () => Promise.resolve(models) });
    const response = await send("POST", "/v1/reload");
    expect(response.status).toBe(200);
    expect(catalogSchema.parse(await response.json())).toEqual({ models });
  });
  test("422: says why nothing was changed", async () => {
    const reload = () => Promise.reject(new AppError("artifact_invalid", "no manifest"));
    const response = await openDoor({ reload }).send("POST", "/v1/reload");
    expect(response.status).toBe(422);
    expect(await problemOf(response)).toMatchObject({ detail: "no manifest" });
  });
  test("405: another method", async () => {
    expect((await openDoor().send("GET", "/v1/reload")).status).toBe(405);
  });
});

describe("a node that ends", () => {
  test("503: refuses what comes with a retryable problem and closes its connection", async () => {
    const { sendJson, send, app } = openDoor({ draining: true, held: true });
    for (const response of [await sendJson(request), await send("POST", "/v1/reload")]) {
      expect(response.status).toBe(503);
      expect(response.headers.get("connection")).toBe("close");
      expect(response.headers.get("retry-after")).toBe("5");
      expect(await problemOf(response)).toMatchObject({ code: "not_ready", retryable: true });
    }
    expect((await app.request("/healthz")).headers.get("connection")).toBe("close");
    expect((await openDoor().app.request("/healthz")).headers.has("connection")).toBe(false);
  });
});

describe("the rest", () => {
  test("200: the catalogue", async () => {
    const response = await openDoor().send("GET", "/v1/catalog");
    expect(catalogSchema.parse(await response.json()).models[0]?.model).toBe("nano");
  });
  test("200: the metrics count what was done", async () => {
    const { send, sendJson, sendFrame } = openDoor({ held: true });
    await sendFrame(request, pixels);
    await sendJson({ ...request, model: "other" });
    const text = await (await send("GET", "/metrics")).text();
    expect(text).toContain("inferences_total 1");
    expect(text).toContain("generated_tokens_total 3");
    expect(text).toContain('requests_total{route="/v1/infer",outcome="model_not_found"} 1');
    expect(text).toContain('queue_depth{priority="interactive"} 3');
    expect(text).toContain("engine_restarts_total 2");
    expect(text).toContain('stage_seconds_count{stage="decode"} 1');
  });
  test("404: a signed request for nothing; unknown paths share one label", async () => {
    const { send } = openDoor();
    expect((await send("GET", "/v2")).status).toBe(404);
    expect((await send("GET", "/v3")).status).toBe(404);
    const text = await (await send("GET", "/metrics")).text();
    expect(text).toContain('requests_total{route="other",outcome="not_found"} 2');
  });
});
