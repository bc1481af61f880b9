// The Worker and a node that fails: what is sent, what is tried again, what the world is told.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AppError, type ProblemCode } from "@blip2-edge/shared/problem";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { jpeg } from "../support/pictures.ts";

let edge: Edge;
let picture: Buffer;
let seed = 5000;
beforeAll(async () => {
  edge = await startEdge({
    vars: { REQUEST_TIMEOUT_MS: "2500", NODE_ATTEMPT_WAIT_MS: "20", CATALOG_TTL_MS: "200" },
  });
});
afterAll(() => edge?.stop());
beforeEach(async () => {
  picture = await jpeg(++seed);
});

const caption = (request?: unknown) => edge.upload("/v1/caption", picture, request);
const asked = () => edge.node.asked.slice(-1)[0];

describe("what is sent", () => {
  test("every request is signed, with the protocol's version and what is left of the time", async () => {
    expect((await caption()).status).toBe(200);
    expect(edge.node.refusedSignatures()).toBe(0);
    expect(asked()?.request.deadline_ms).toBeGreaterThan(0);
    expect(asked()?.request.deadline_ms).toBeLessThanOrEqual(2500);
  });

  test("pixels once; then JSON alone, also when the picture is uploaded again", async () => {
    await caption();
    expect(asked()).toMatchObject({ withPixels: true });
    await caption({ prompt: "a" });
    expect(asked()).toMatchObject({ withPixels: false });
  });

  test("a node that has forgotten gets the pixels again, from the upload or from the store", async () => {
    const first = await caption();
    const { image_id } = (await first.json()) as { image_id: string };
    edge.node.forgetPixels();
    expect((await caption({ prompt: "b" })).status).toBe(200);
    expect(asked()).toMatchObject({ withPixels: true });
    edge.node.forgetPixels();
    const byId = await edge.json("/v1/caption", { image: { image_id }, prompt: "c" });
    expect(byId.status).toBe(200);
    expect(asked()).toMatchObject({ withPixels: true });
  });

  test("410 when neither the node nor the store has the pixels at the model's size", async () => {
    const { image_id } = (await (await caption()).json()) as { image_id: string };
    const { catalog } = edge.node;
    const [model] = catalog.models;
    if (model === undefined) throw new Error("no model");
    edge.node.catalog = {
      models: [
        model,
        { ...model, model: "larger", model_revision: "1".repeat(16), image_size: 48 },
      ],
    };
    await new Promise((resolve) => setTimeout(resolve, 250));
    const response = await edge.json("/v1/caption", { image: { image_id }, model: "larger" });
    await expectProblem(response, "image_pixels_gone", "caption");
    edge.node.catalog = catalog;
  });
});

describe("a node that fails", () => {
  test("a connection that breaks before a byte of answer is tried once more, no more", async () => {
    edge.node.failNext({ kind: "drop" });
    const before = edge.node.asked.length;
    expect((await caption()).status).toBe(200);
    expect(edge.node.asked.length - before).toBe(2);
    expect(edge.lastEvent()).toMatchObject({ node_attempts: 2 });

    edge.node.failNext({ kind: "drop" }, { kind: "drop" });
    const response = await caption({ prompt: "d" });
    expect(response.headers.get("retry-after")).toBe("2");
    await expectProblem(response, "node_unavailable", "caption");
    expect(edge.node.asked.length - before).toBe(4);
    expect((await caption({ prompt: "e" })).status).toBe(200);
  });

  test("a node that dies in its answer: a clean problem, then service", async () => {
    edge.node.failNext({ kind: "die_in_answer" });
    const before = edge.node.asked.length;
    const response = await caption();
    expect(response.headers.get("retry-after")).toBe("2");
    await expectProblem(response, "node_unavailable", "caption");
    expect(edge.node.asked.length - before).toBe(1);
    expect((await caption()).status).toBe(200);
  });

  const secret = "10.0.0.7: CUDA error at /srv/model";
  test.each([
    ["engine_restarted", "engine_restarted", true],
    ["poison_request", "poison_request", true],
    ["overloaded", "overloaded", true],
    ["share_exceeded", "share_exceeded", true],
    ["not_ready", "node_unavailable", true],
    ["deadline_exceeded", "deadline_exceeded", true],
    ["internal", "node_protocol", false],
    ["signature_invalid", "node_protocol", false],
    ["protocol_unsupported", "node_protocol", false],
    ["invalid_request", "node_protocol", false],
  ] as const)("its %s becomes %s, without its words", async (said, told, retryAfter) => {
    const error = new AppError(said, secret, { retryAfterS: 7 });
    edge.node.failNext({ kind: "problem", error });
    const response = await caption();
    expect(response.headers.get("retry-after")).toBe(retryAfter ? "7" : null);
    const problem = await expectProblem(response, told satisfies ProblemCode, "caption");
    expect(JSON.stringify(problem)).not.toContain("CUDA");
    expect(edge.lastEvent()["internal"]).toContain("CUDA");
  });

  test("what it says about the caller's own text is passed on", async () => {
    const detail = "The prompt has 700 tokens; 480 fit.";
    edge.node.failNext({ kind: "problem", error: new AppError("prompt_too_long", detail) });
    const problem = await expectProblem(await caption(), "prompt_too_long", "caption");
    expect(problem.detail).toBe(detail);
  });

  test.each([
    ["a proxy's page for a dead node", 502, "<h1>Bad gateway</h1>", "node_unavailable"],
    ["a page with status 200", 200, "<h1>Hello</h1>", "node_protocol"],
  ] as const)("%s", async (_, status, body, code) => {
    edge.node.failNext({ kind: "text", status, body });
    await expectProblem(await caption(), code, "caption");
  });

  test("JSON of another kind, a result too few", async () => {
    edge.node.failNext({ kind: "json", body: { hello: 1 } });
    await expectProblem(await caption(), "node_protocol", "caption");
  });

  test("504 when the time is over", async () => {
    edge.node.failNext({ kind: "wait", ms: 4000 });
    const startedAt = Date.now();
    await expectProblem(await caption(), "deadline_exceeded", "caption");
    expect(Date.now() - startedAt).toBeLessThan(3500);
    await expect.poll(() => edge.node.abandoned(), { timeout: 3000 }).toBeGreaterThan(0);
  });
});

test("a node that is down from the start: 503, and service as soon as it is up", async () => {
  await edge.stop();
  edge = await startEdge({ vars: { NODE_ATTEMPT_WAIT_MS: "20" } });
  await edge.node.down();
  const response = await caption();
  expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
  await expectProblem(response, "node_unavailable", "caption");
  await expectProblem(await edge.call("/v1/models"), "node_unavailable", "models");
  await edge.node.up();
  await expect
    .poll(async () => (await caption()).status, { timeout: 10_000, interval: 250 })
    .toBe(200);
});
