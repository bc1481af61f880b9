// The embedded model measured through the Worker's HTTP API: 60 scenes of a fixed seed, gates three points
// below those of the full evaluation (`npm run eval:nano`).
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root, startTestStack, type TestStack } from "../support/stack.ts";

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack();
});
afterAll(() => stack?.stop());

test("nano passes its gates on scenes it has never seen", { timeout: 180_000 }, async () => {
  const args = [
    "--url",
    stack.url,
    "--key",
    stack.apiKey,
    "--seed",
    "2026",
    "--scenes",
    "60",
    "--gates",
    "test",
  ];
  const child = spawn(process.execPath, [
    path.join(root, "gpu-node/nano/evaluate/main.ts"),
    ...args,
  ]);
  let output = "";
  child.stdout.on("data", (text) => (output += String(text)));
  child.stderr.on("data", (text) => (output += String(text)));
  const [code] = (await once(child, "exit")) as [number | null];
  expect(code, output).toBe(0);
});
