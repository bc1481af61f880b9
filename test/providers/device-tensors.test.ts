// Outputs that stay on the device and are fed back, with a webgpu driver; skipped, with the reason, without one.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createGraph } from "../../gpu-node/src/onnx/graph.ts";
import { encodeGraph } from "../../gpu-node/src/onnx/model.ts";
import * as ops from "../../gpu-node/src/onnx/ops.ts";
import type { DeviceRun } from "../support/device-process.ts";
import { root } from "../support/stack.ts";
import { webgpuDriver } from "../support/webgpu-driver.ts";

const driver = await webgpuDriver();
if ("missing" in driver) console.warn(`device tensors are not tested here: ${driver.missing}`);

/** grown = cache and entry behind it; score = the entry's product with every row of grown. */
function growingGraph(): Uint8Array {
  const graph = createGraph("growing");
  const cache = graph.input("cache", "float32", ["rows", "past", 4]);
  const entry = graph.input("entry", "float32", ["rows", 1, 4]);
  const grown = ops.concat(graph, [cache, entry], 1, "past + 1");
  graph.output("grown", grown);
  graph.output("score", ops.matMul(graph, entry, ops.transpose(graph, grown, [0, 2, 1])));
  return encodeGraph(graph, () => {
    throw new Error("the graph has no weights");
  });
}

describe.skipIf("missing" in driver)("tensors that stay on the device", () => {
  let folder: string;
  let run: DeviceRun;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "device-"));
    const path = join(folder, "growing.onnx");
    await writeFile(path, growingGraph());
    const program = join(root, "test/support/device-process.ts");
    const { stdout } = await promisify(execFile)(process.execPath, [program, path], {
      env: "env" in driver ? driver.env : {},
      timeout: 60_000,
    });
    run = JSON.parse(stdout) as DeviceRun;
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("grow from step to step without leaving it, and give the CPU's numbers", () => {
    expect(run.lengths).toEqual([1, 2, 3, 4, 5]);
    expect(run.webgpu.map((step) => step.length)).toEqual([2, 4, 6, 8, 10]);
    for (const [step, scores] of run.cpu.entries()) {
      for (const [at, score] of scores.entries()) {
        expect(run.webgpu[step]?.[at]).toBeCloseTo(score, 5);
      }
    }
  });

  test("are refused once they are disposed, which may be done twice", () => {
    expect(run.afterDispose).toContain("the tensor fed as cache is disposed");
  });
});
