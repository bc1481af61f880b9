// How fast the engine's threads read memory. The runtime's ReduceMax over rows of floats that stand in no cache: it
// does nothing but read, in as many threads as the session has, and was as fast as any sum that was tried.
import { createGraph } from "../onnx/graph.ts";
import { single } from "../onnx/ops.ts";
import { floatTensor } from "../tensor/tensor.ts";
import { bestOf, type Repeats } from "./best-of.ts";
import { withGraph } from "./graph-session.ts";
import type { SessionOptions } from "../runtime/ort.ts";

const columns = 1 << 16;

export interface MemorySettings extends SessionOptions, Repeats {
  /** Rounded up to whole rows of 256 KiB; should be several times the last cache. */
  readonly bytes: number;
}

/** Bytes per second. */
export async function measureMemory(settings: MemorySettings): Promise<number> {
  const rows = Math.ceil(settings.bytes / 4 / columns);
  const graph = createGraph("read");
  const x = graph.input("x", "float32", ["rows", columns]);
  const inputs = [x, graph.constant("int64", [1])];
  graph.output("largest", single(graph, "ReduceMax", inputs, "float32", ["rows"], { keepdims: 0 }));
  // Fed, not a constant of the graph: the runtime would reduce that once, when it loads.
  const floats = floatTensor(new Float32Array(rows * columns).fill(0.5), [rows, columns]);
  const bestMs = await withGraph(graph, settings, (session) =>
    bestOf(settings, () => session.run({ x: floats })),
  );
  return (rows * columns * 4) / (bestMs / 1000);
}
