// `blip2 bench` from its flags to its files: limits, stages and a real node under a little load, with nano's
// artifact. What is measured is not looked at, only that all of it is there.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nanoArtifact, nanoItmArtifact } from "../support/nano-artifact.ts";
import { root } from "../support/stack.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "bench-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function blip2(args: readonly string[]) {
  const child = spawn(process.execPath, [path.join(root, "gpu-node/src/cli/main.ts"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => (stdout += String(text)));
  child.stderr.on("data", (text) => (stderr += String(text)));
  const [code] = (await once(child, "close")) as [number];
  return { code, stdout, stderr };
}

const small = [
  ...["--images", "1,2", "--decode-batches", "1,2", "--new-tokens", "3", "--repeats", "1"],
  ...["--concurrency", "1,3", "--requests", "3", "--lengths", "2,5", "--threads", "1"],
];

test("everything is measured, printed as one line of JSON and written", async () => {
  const out = path.join(folder, "new/report");
  const artifact = await nanoArtifact();
  const args = ["bench", "--model", artifact, ...small, "--soak-minutes", "0.05", "--out", out];
  const { code, stdout, stderr } = await blip2([...args, "--json"]);
  expect(stderr).not.toMatch(/error/i);
  expect(code).toBe(0);
  const lines = stdout.trim().split("\n");
  expect(lines.length).toBe(1);
  const json = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  expect(json).toMatchObject({
    format: "blip2-edge/bench/v1",
    machine: { cpu: expect.any(String) as string, busy: expect.any(Boolean) as boolean },
    settings: { threads: 1, provider: "cpu", new_tokens: 3 },
    artifact: { family: "opt", precision: "fp32" },
    load: {
      levels: [
        { concurrency: 1, requests: 3 },
        { concurrency: 3, requests: 6 },
      ],
      together: { requests: 16 },
      second_question: { vision_passes: 0 },
      health_ms: { p99: expect.any(Number) as number },
      event_loop_lag_ms: { p99_ms: expect.any(Number) as number },
    },
    soak: { minutes: 0.05, growth: expect.any(Number) as number },
    node: { ready_seconds: expect.any(Number) as number, peak_bytes: expect.any(Number) as number },
  });
  const { stages, limits, claims } = json as {
    stages: { stage: string; batch: number; efficiency: number; allowed_seconds: number }[];
    limits: { memory_read_bytes_per_second: number; kernels: { gflops: number }[] };
    claims: { what: string }[];
  };
  expect(stages.map(({ stage, batch }) => `${stage} ${batch}`)).toEqual([
    ...["vision 1", "qformer 1", "prefill 1", "vision 2", "qformer 2", "prefill 2"],
    ...["decode 1", "decode 2"],
  ]);
  for (const { efficiency, allowed_seconds: allowed } of stages) {
    expect(efficiency).toBeGreaterThan(0);
    expect(allowed).toBeGreaterThan(0);
  }
  expect(limits.memory_read_bytes_per_second).toBeGreaterThan(0);
  expect(limits.kernels.every(({ gflops }) => gflops > 0)).toBe(true);
  expect(claims.length).toBeGreaterThan(10);

  expect(JSON.parse(await readFile(path.join(out, "bench.json"), "utf8"))).toEqual(json);
  expect(await readFile(path.join(out, "bench.md"), "utf8")).toContain("### What must show");
  expect(await readFile(path.join(out, "bench.svg"), "utf8")).toMatch(/^<svg /);
}, 180_000);

test("a model that compares is refused", async () => {
  const { code, stderr } = await blip2(["bench", "--model", await nanoItmArtifact(), ...small]);
  expect(code).toBe(2);
  expect(stderr).toContain("a retrieval model");
});

test("flags that the node refuses end the bench with the node's own words", async () => {
  const args = ["bench", "--model", await nanoArtifact(), ...small, "--", "--no-such-flag", "1"];
  const { code, stderr } = await blip2(args);
  expect(code).toBe(2);
  expect(stderr).toContain("--no-such-flag");
}, 120_000);
