// One small graph with its weights, run by the runtime: for tests of single operators and layers.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExternalTensor, Graph } from "../../gpu-node/src/onnx/graph.ts";
import { layOutData } from "../../gpu-node/src/onnx/external-data.ts";
import { encodeGraph } from "../../gpu-node/src/onnx/model.ts";
import { openSession } from "../../gpu-node/src/runtime/ort.ts";
import { type FloatTensor, floatTensor, type Tensor } from "../../gpu-node/src/tensor/tensor.ts";

type Outputs = Readonly<Record<string, FloatTensor>>;

/** The outputs but the ids, in float32. */
export const floatsOf = (outputs: Readonly<Record<string, Tensor>>): Outputs =>
  Object.fromEntries(
    Object.entries(outputs).flatMap(([name, tensor]) =>
      tensor.type === "int64"
        ? []
        : [[name, floatTensor(Float32Array.from(tensor.data), tensor.dims)]],
    ),
  );

/** `data`: the bytes of the graph's weights by name; where two share bytes, those of the first. */
export async function runGraph(
  graph: Graph,
  data: ReadonlyMap<string, ArrayBufferView>,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Outputs> {
  const folder = await mkdtemp(join(tmpdir(), "graph-"));
  try {
    const own = [...graph.externals.values()].filter(({ bytesOf }) => bytesOf === undefined);
    const { bytes, placements } = layOutData("graph.data", own);
    const file = new Uint8Array(bytes);
    for (const [name, { offset }] of placements) {
      const values = data.get(name);
      if (values === undefined) throw new Error(`no data for ${name}`);
      file.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), offset);
    }
    await writeFile(join(folder, "graph.data"), file);
    const place = ({ name, bytesOf = name }: ExternalTensor) => {
      const placement = placements.get(bytesOf);
      if (placement === undefined) throw new Error(`no place for ${bytesOf}`);
      return placement;
    };
    const path = join(folder, "graph.onnx");
    await writeFile(path, encodeGraph(graph, place));
    const session = await openSession(path, { threads: 1, provider: "cpu" });
    try {
      return floatsOf(await session.run(feeds));
    } finally {
      await session.release();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
