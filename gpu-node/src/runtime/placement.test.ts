import { expect, test } from "vitest";
import { readPlacement } from "./placement.ts";

const node = (op_name: string, provider: string, output_size = "0") => ({
  cat: "Node",
  name: `${op_name}_kernel_time`,
  args: { op_name, provider, output_size, thread_scheduling_stats: {} },
});

test("counts nodes by provider, what was left to others, and copies with their bytes", () => {
  const profile = [
    { cat: "Session", name: "model_loading_uri", args: {} },
    node("MatMul", "WebGpuExecutionProvider", "512"),
    node("MatMul", "WebGpuExecutionProvider", "512"),
    node("Range", "CPUExecutionProvider", "152"),
    node("MemcpyFromHost", "WebGpuExecutionProvider", "152"),
    node("MemcpyToHost", "WebGpuExecutionProvider", "8"),
    { cat: "Node", name: "x_fence_before", args: { op_name: "MatMul" } },
  ];
  expect(readPlacement(profile, "WebGpuExecutionProvider")).toEqual({
    nodes: { WebGpuExecutionProvider: 2, CPUExecutionProvider: 1 },
    elsewhere: { Range: 1 },
    copies: 2,
    copiedBytes: 160,
  });
});

test("what is no profile is refused", () => {
  expect(() => readPlacement({ traceEvents: [] }, "x")).toThrow();
});
