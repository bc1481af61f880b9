// Two real processes: this one is the door, the engine is its child, nano's artifact is the model.
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fromProblem } from "@blip2-edge/shared/problem";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import { readEvents } from "@blip2-edge/shared/wire/events";
import { type InferResponse, inferResponseSchema } from "@blip2-edge/shared/wire/protocol";
import { createSigner, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { nanoArtifact } from "../../../test/support/nano-artifact.ts";
import { createLog, silentLog } from "../observe/log.ts";
import { type NodeSettings, type RunningNode, startNode } from "./start-node.ts";

const keys = parseSigningKeys("test:0123456789abcdef0123456789abcdef");
const signer = createSigner({ keys });
const lines: Record<string, unknown>[] = [];
const log = createLog((line) => void lines.push(JSON.parse(line) as Record<string, unknown>));

let artifact: string;
const settings = (extra: Partial<NodeSettings> = {}): NodeSettings => ({
  host: "127.0.0.1",
  port: 0,
  keys,
  maxQueueMs: 60_000,
  maxJobs: 64,
  drainMs: 5000,
  bodyTimeoutMs: 500,
  rssBytes: () => 0,
  engine: { modelDirs: [artifact], threads: 1, provider: "cpu", featureStoreMaxBytes: 1 << 24 },
  ...extra,
});

let node: RunningNode;
let revision: string;
beforeAll(async () => {
  artifact = await nanoArtifact();
  node = await startNode(settings(), log);
  const catalog = await (await signedFetch("GET", "/v1/catalog")).json();
  revision = (catalog as { models: { model_revision: string }[] }).models[0]?.model_revision ?? "";
});
afterAll(() => node.stop());

interface FetchOptions {
  readonly body?: Uint8Array;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  readonly url?: string;
}
async function signedFetch(
  method: string,
  path: string,
  { body, contentType, signal, url = node.url }: FetchOptions = {},
): Promise<Response> {
  const headers = await signer.sign({
    method,
    url: `${url}${path}`,
    ...(body === undefined ? {} : { body }),
    ...(contentType === undefined ? {} : { contentType }),
  });
  return fetch(`${url}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
    ...(signal === undefined ? {} : { signal }),
  });
}

interface InferOptions {
  readonly partition?: string;
  readonly pixels?: boolean;
  readonly texts?: readonly (string | null)[];
  readonly generation?: Record<string, number>;
  readonly deadlineMs?: number;
  readonly stream?: boolean;
  readonly priority?: "bulk";
  readonly signal?: AbortSignal;
  readonly url?: string;
}
const picture = new Uint8Array(224 * 224 * 3).fill(120);
const imageId = `img_${"c".repeat(64)}`;

function infer(options: InferOptions = {}): Promise<Response> {
  const { partition = "1", pixels = true, texts = [null], generation = {} } = options;
  const json = JSON.stringify({
    model: "nano",
    model_revision: revision,
    partition: partition.padStart(32, "0"),
    image: { image_id: imageId, size: 224 },
    texts,
    generation,
    deadline_ms: options.deadlineMs ?? 30_000,
    ...(options.priority === undefined ? {} : { priority: options.priority }),
    ...(options.stream === undefined ? {} : { stream: options.stream }),
  });
  const send = {
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.url === undefined ? {} : { url: options.url }),
  };
  if (!pixels) {
    const body = new TextEncoder().encode(json);
    return signedFetch("POST", "/v1/infer", { body, contentType: "application/json", ...send });
  }
  return signedFetch("POST", "/v1/infer", { ...writeFrame({ json, pixels: picture }), ...send });
}
/** Sixteen texts of a hundred tokens: busy for long enough to be interrupted. */
const longJob: InferOptions = {
  texts: Array.from({ length: 16 }, () => null),
  generation: { max_new_tokens: 100, min_new_tokens: 100 },
};

const answerOf = async (response: Response): Promise<InferResponse> =>
  inferResponseSchema.parse(await response.json());
const codeOf = async (response: Response) => fromProblem(await response.json())?.code;

async function metric(name: string, url = node.url): Promise<number> {
  const text = await (await signedFetch("GET", "/metrics", { url })).text();
  return Number(new RegExp(`^${name} (.+)$`, "m").exec(text)?.[1]);
}
async function until(condition: () => Promise<boolean>, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error("it did not come about in time");
    await sleep(20);
  }
}
const isReady = async () => (await fetch(`${node.url}/readyz`)).status === 200;
const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};
/** Waits until so many jobs are in the engine. */
const engineIsBusy = (jobs = 1, url = node.url) =>
  until(async () => (await metric("jobs_running", url)) === jobs);
/** Waits until the engine takes a new job at once. */
const engineIsFree = () => until(async () => (await infer({ deadlineMs: 3000 })).status === 200);

describe("a running node", () => {
  test("looks once at a picture, however often it is asked about it", async () => {
    const passesBefore = await metric("vision_passes_total");
    const first = await answerOf(await infer({ partition: "a1" }));
    expect(first.vision_passes).toBe(1);
    expect(first.results[0]?.finish_reason).toBe("stop");
    const question = "Question: how many objects are there? Answer:";
    const second = await infer({ partition: "a1", pixels: false, texts: [question, null] });
    const held = await answerOf(second);
    expect(held.vision_passes).toBe(0);
    expect(held.results[1]?.token_ids).toEqual(first.results[0]?.token_ids);
    expect(second.headers.get("server-timing")).toMatch(/^queue;dur=.*, vision;dur=0.*, prefill;/);
    expect(await metric("vision_passes_total")).toBe(passesBefore + 1);
    expect(await metric("feature_store_bytes")).toBeGreaterThan(0);
  });

  test("what one partition has sent is not there for another", async () => {
    await infer({ partition: "b1" });
    expect((await infer({ partition: "b2", pixels: false })).status).toBe(428);
    expect((await answerOf(await infer({ partition: "b2" }))).vision_passes).toBe(1);
  });

  test("a stream ends with the answer, and its texts are those of the answer", async () => {
    const asked: InferOptions = { texts: [null, "Question: what is it? Answer:"] };
    const plain = await answerOf(await infer(asked));
    const response = await infer({ ...asked, stream: true });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const texts: string[] = [];
    let result: InferResponse | undefined;
    for await (const event of readEvents(response.body ?? new ReadableStream())) {
      if (event.event === "text") {
        texts[event.data.index] = (texts[event.data.index] ?? "") + event.data.text;
      } else if (event.event === "result") result = event.data;
    }
    expect(result?.results).toEqual(plain.results);
    for (const [index, text] of texts.entries()) {
      expect(text.trim()).toBe(plain.results[index]?.text);
    }
  });

  test("a text too long for the model is the caller's problem, with its numbers", async () => {
    const response = await infer({ texts: ["how many owls are there? ".repeat(40)] });
    expect(response.status).toBe(400);
    expect(await codeOf(response)).toBe("prompt_too_long");
  });

  test("the door answers while the engine is busy", async () => {
    const busy = infer(longJob);
    let answers = 0;
    let slowestMs = 0;
    const done = busy.then(() => true);
    do {
      const startedAt = performance.now();
      expect((await fetch(`${node.url}/healthz`)).status).toBe(200);
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      answers += 1;
    } while (!(await Promise.race([done, sleep(5, false)])));
    const timing = (await busy).headers.get("server-timing") ?? "";
    const decodeMs = Number(/decode;dur=([\d.]+)/.exec(timing)?.[1]);
    expect(answers).toBeGreaterThan(5);
    // An engine on the door's event loop would have let no answer through before its own.
    expect(slowestMs).toBeLessThan(decodeMs / 2);
  });

  test("a passed deadline is answered at once and frees the engine", async () => {
    const response = await infer({ ...longJob, deadlineMs: 60 });
    expect(response.status).toBe(504);
    expect(await codeOf(response)).toBe("deadline_exceeded");
    await engineIsFree();
  });

  test("a client that goes away frees the engine and is logged as that", async () => {
    const controller = new AbortController();
    const run = infer({ ...longJob, signal: controller.signal });
    await engineIsBusy();
    controller.abort();
    await expect(run).rejects.toThrow();
    await until(() => Promise.resolve(lines.some((line) => line["outcome"] === "canceled")));
    await engineIsFree();
  });

  test("more than there is room for is refused with Retry-After", async () => {
    const small = await startNode(settings({ maxJobs: 2 }), silentLog);
    const ask = () => infer({ ...longJob, url: small.url });
    const all = await Promise.all([ask(), ask(), ask()]);
    await small.stop();
    expect(all.map((response) => response.status).toSorted((a, b) => a - b)).toEqual([
      200, 200, 503,
    ]);
    const refused = all.find((response) => response.status === 503);
    expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(await codeOf(refused ?? Response.error())).toBe("overloaded");
  });

  test("a large unsigned body is refused, a dripping one timed out, the door unharmed", async () => {
    const large = await fetch(`${node.url}/v1/infer`, {
      method: "POST",
      body: new Uint8Array(30_000_000),
    }).then(
      (response) => response.status,
      () => "closed",
    );
    expect([401, "closed"]).toContain(large);

    const body = new TextEncoder().encode(JSON.stringify({}));
    const contentType = "application/json";
    const headers = await signer.sign({
      method: "POST",
      url: `${node.url}/v1/infer`,
      body,
      contentType,
    });
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const { hostname, port } = new URL(node.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /v1/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n${head.join("")}\r\n{`,
    );
    let answer = "";
    for await (const chunk of socket.setEncoding("utf8")) {
      answer += String(chunk);
      if (answer.includes("request_timeout")) break;
    }
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(await isReady()).toBe(true);
  });

  test("an engine that is killed ends what runs with a retryable problem and is replaced", async () => {
    const [pid = 0] = node.enginePids();
    const run = infer(longJob);
    await engineIsBusy();
    const beside = infer({ ...longJob, partition: "d1" });
    await engineIsBusy(2);
    process.kill(pid, "SIGKILL");
    for (const response of [await run, await beside]) {
      expect(response.status).toBe(503);
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
      expect(await codeOf(response)).toBe("engine_restarted");
    }
    const meanwhile = await infer();
    expect(await codeOf(meanwhile)).toBe("not_ready");
    expect(meanwhile.headers.get("retry-after")).not.toBeNull();
    await until(isReady);
    expect((await answerOf(await infer())).vision_passes).toBe(1);
    expect(node.enginePids()).not.toContain(pid);
    expect(await metric("engine_restarts_total")).toBe(1);
  });
});

describe("the ends of a node", () => {
  test("stop finishes what runs, refuses what comes and ends the engine", async () => {
    const other = await startNode(settings({ drainMs: 30_000 }), silentLog);
    const [pid = 0] = other.enginePids();
    const runs = [
      infer({ ...longJob, url: other.url }),
      infer({ ...longJob, stream: true, url: other.url }),
      // More rows than the engine's batch has room for: it waits in the door.
      infer({ ...longJob, priority: "bulk", url: other.url }),
      infer({ ...longJob, priority: "bulk", url: other.url }),
    ];
    await until(async () => {
      const jobs = await metric("jobs_running", other.url);
      return jobs + (await metric("queue_depth", other.url)) === runs.length;
    });
    const stopped = other.stop();
    const refused = await infer({ url: other.url });
    expect([refused.status, await codeOf(refused)]).toEqual([503, "not_ready"]);
    expect(refused.headers.get("connection")).toBe("close");
    expect((await fetch(`${other.url}/readyz`)).status).toBe(503);
    const answers = await Promise.all(runs);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(await answers[1]?.text()).toContain("event: result");
    await stopped;
    expect(isAlive(pid)).toBe(false);
    await expect(fetch(`${other.url}/healthz`)).rejects.toThrow();
  });

  test("stop does not wait longer than its bound", async () => {
    const other = await startNode(settings({ drainMs: 10 }), silentLog);
    const [pid = 0] = other.enginePids();
    const slow = { ...longJob, generation: { ...longJob.generation, num_beams: 4 } };
    const run = infer({ ...slow, url: other.url });
    await engineIsBusy(1, other.url);
    await other.stop();
    const response = await run;
    expect([response.status, await codeOf(response)]).toEqual([503, "not_ready"]);
    expect(isAlive(pid)).toBe(false);
  });

  test("a port in use says so", async () => {
    const port = Number(new URL(node.url).port);
    await expect(startNode(settings({ port }), silentLog)).rejects.toMatchObject({
      code: "usage",
      detail: expect.stringMatching(/Port \d+ .* in use/) as string,
    });
  });

  test.each([
    ["a folder that is no artifact", { modelDirs: ["/nowhere"] }, "artifact_invalid"],
    ["a provider without its driver", { provider: "webgpu" as const }, "usage"],
  ])("%s ends the start with its reason", async (_, wrong, code) => {
    vi.stubEnv("VK_DRIVER_FILES", "/nowhere");
    const engine = { ...settings().engine, ...wrong };
    const start = startNode(settings({ engine }), silentLog);
    await expect(start.finally(() => vi.unstubAllEnvs())).rejects.toMatchObject({ code });
  });

  test("one model twice is refused", async () => {
    const engine = { ...settings().engine, modelDirs: [artifact, artifact] };
    await expect(startNode(settings({ engine }), silentLog)).rejects.toThrow(/are called nano/);
  });
});
