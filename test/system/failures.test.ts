// What the world sees when processes die: a clean, retryable problem, and service again without help.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { samplesDir, startTestStack, type TestStack } from "../support/stack.ts";

let stack: TestStack;
let picture: Buffer<ArrayBuffer>;
beforeAll(async () => {
  stack = await startTestStack();
  const { samples } = JSON.parse(await readFile(path.join(samplesDir, "samples.json"), "utf8")) as {
    samples: { file: string }[];
  };
  picture = await readFile(path.join(samplesDir, samples[0]?.file ?? ""));
});
afterAll(() => stack?.stop());

/** Every call asks something new, so that no cache can answer it. */
let salt = 0;
async function ask(options: { maxNewTokens?: number } = {}): Promise<Response> {
  const data = new FormData();
  data.set("image", new Blob([picture]));
  const prompt = `a picture of ${++salt}`;
  data.set("request", JSON.stringify({ prompt, max_new_tokens: options.maxNewTokens ?? 4 }));
  return fetch(`${stack.url}/v1/caption`, {
    method: "POST",
    headers: { authorization: `Bearer ${stack.apiKey}` },
    body: data,
  });
}

async function untilServed(limitMs: number): Promise<Response> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const response = await ask();
    if (response.ok || Date.now() > deadline) return response;
    expect([502, 503, 504]).toContain(response.status);
    await sleep(200);
  }
}

const pidOf = (name: string): number => {
  const found = stack.node.pids().find((process) => process.name === name);
  if (found === undefined) throw new Error(`no ${name} runs`);
  return found.pid;
};

describe("the engine is killed", () => {
  test("during requests: each ends with an answer or a retryable problem, and the next succeeds", async () => {
    expect((await ask()).status).toBe(200);
    const calls = Array.from({ length: 12 }, () => ask({ maxNewTokens: 60 }));
    await sleep(60);
    process.kill(pidOf("engine"), "SIGKILL");
    for (const response of await Promise.all(calls)) {
      if (response.ok) continue;
      expect(response.headers.get("content-type")).toContain("application/problem+json");
      expect(await response.json()).toMatchObject({ status: 503, retryable: true });
    }
    const after = await untilServed(30_000);
    expect(after.status).toBe(200);
  });
});

describe("the node is killed", () => {
  test("503 with Retry-After while it is down, cached answers go on, service again after its restart", async () => {
    const cachedForm = () => {
      const data = new FormData();
      data.set("image", new Blob([picture]));
      return data;
    };
    const caption = () =>
      fetch(`${stack.url}/v1/caption`, {
        method: "POST",
        headers: { authorization: `Bearer ${stack.apiKey}` },
        body: cachedForm(),
      });
    expect((await caption()).status).toBe(200);

    process.kill(pidOf("node"), "SIGKILL");
    const refused = await ask();
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({ code: "node_unavailable", retryable: true });

    const cached = await caption();
    expect(cached.status).toBe(200);
    expect(cached.headers.get("cache-status")).toContain("hit");

    expect((await untilServed(30_000)).status).toBe(200);
  });
});
