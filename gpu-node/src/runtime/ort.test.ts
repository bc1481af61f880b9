import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createGraph } from "../onnx/graph.ts";
import { encodeGraph } from "../onnx/model.ts";
import * as ops from "../onnx/ops.ts";
import { floatTensor } from "../tensor/tensor.ts";
import { addModel, bindingFolder, checkProvider, openDeviceSession, openSession } from "./ort.ts";
import type { Placement } from "./placement.ts";
import { cudaLibraries } from "./providers.ts";

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ort-"));
  path = join(folder, "add.onnx");
  await writeFile(path, addModel);
});
afterAll(() => rm(folder, { recursive: true }));

test("the built-in graph adds its input to itself, as one that our builder makes", async () => {
  const graph = createGraph("add");
  const x = graph.input("x", "float32", [1]);
  graph.output("y", ops.add(graph, x, x));
  await writeFile(
    join(folder, "built.onnx"),
    encodeGraph(graph, () => ({ file: "", offset: 0, bytes: 0 })),
  );
  for (const each of [path, join(folder, "built.onnx")]) {
    const session = await openSession(each, { threads: 1, provider: "cpu" });
    expect(session.inputNames).toEqual(["x"]);
    expect(session.outputNames).toEqual(["y"]);
    const { y } = await session.run({ x: floatTensor(Float32Array.of(21), [1]) });
    expect(y?.data[0]).toBe(42);
    await session.release();
  }
});

describe("what ran where", () => {
  const profiles = async (): Promise<string[]> =>
    (await readdir(tmpdir())).filter((name) => name.startsWith("blip2-profile-"));

  test("is told once, after the first run, and leaves no file", async () => {
    const before = await profiles();
    const told: Placement[] = [];
    const session = await openSession(path, {
      threads: 1,
      provider: "cpu",
      onPlacement: (placement) => told.push(placement),
    });
    for (let run = 0; run < 2; run += 1) {
      await session.run({ x: floatTensor(Float32Array.of(1), [1]) });
    }
    await session.release();
    expect(told).toEqual([
      { nodes: { CPUExecutionProvider: 1 }, elsewhere: {}, copies: 0, copiedBytes: 0 },
    ]);
    expect(await profiles()).toEqual(before);
  });

  test("a session that never ran, and one that could not be opened, leave no file", async () => {
    const before = await profiles();
    const options = { threads: 1, provider: "cpu", onPlacement: () => {} } as const;
    await (await openSession(path, options)).release();
    await expect(openSession(join(folder, "none.onnx"), options)).rejects.toMatchObject({
      code: "artifact_invalid",
    });
    expect(await profiles()).toEqual(before);
  });
});

test.skipIf(cudaLibraries.every((file) => existsSync(join(bindingFolder(), file))))(
  "cuda without its libraries names them and where they come from",
  () => {
    expect(() => checkProvider("cuda")).toThrow(
      /cuda is not available here: .*--onnxruntime-node-install=cuda12/,
    );
  },
);

test("outputs stay on a device by webgpu only: another provider would read an address as memory", async () => {
  const open = openDeviceSession(path, { threads: 1, provider: "cpu" }, ["y"]);
  await expect(open).rejects.toMatchObject({ code: "usage" });
});
