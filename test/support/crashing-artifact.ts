// Copies of an artifact whose engine ends by a signal, for real and inside a run: one whose vision graph divides
// the least integer by -1 when a picture is bright, which x86 answers with SIGFPE and ONNX Runtime does not
// catch; one whose mapped weights are taken away.
import { cp, readFile, readdir, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import {
  decodeModel,
  encodeModel,
  type NodeProto,
  type TensorProto,
} from "../../gpu-node/src/onnx/model-proto.ts";

/** Element types of ONNX. */
const types = { float: 1, int64: 7 } as const;

/**
 * Writes to `out` a copy of `artifact` that crashes where a normalised value of the picture reaches `peak`.
 * Everything else is answered as by the original.
 */
export async function crashingArtifact(
  artifact: string,
  out: string,
  peak: number,
): Promise<string> {
  await cp(artifact, out, { recursive: true });
  const manifestPath = path.join(out, "manifest.json");
  const manifest = JSON.parse(await readFile(manifestPath, "utf8")) as {
    graphs: Record<string, { file: string }>;
    files: Record<string, { bytes: number }>;
  };
  const file = manifest.graphs["vision"]?.file ?? "";
  const model = decodeModel(await readFile(path.join(out, file)));
  const { graph } = model;
  const pixels = graph.input[0]?.name ?? "";
  for (const node of graph.node) {
    node.input = node.input.map((name) => (name === pixels ? "trap_pixels" : name));
  }
  const constant = (name: string, dataType: number, values: ArrayBufferView): TensorProto => ({
    name,
    dims: [],
    dataType,
    rawData: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  });
  const constants = [
    constant("trap_peak", types.float, Float32Array.of(peak)),
    constant("trap_one", types.int64, BigInt64Array.of(1n)),
    constant("trap_minus_one", types.int64, BigInt64Array.of(-1n)),
    constant("trap_least", types.int64, BigInt64Array.of(-(2n ** 63n))),
  ];
  const op = (
    opType: string,
    input: string[],
    name: string,
    attribute: NodeProto["attribute"] = [],
  ) => ({
    opType,
    input,
    output: [`trap_${name}`],
    name: `trap_${name}`,
    attribute,
  });
  const int = (name: string, i: number) => ({ name, type: 2, i: BigInt(i) });
  const trap = [
    op("ReduceMax", [pixels], "brightest", [int("keepdims", 0)]),
    op("Less", ["trap_brightest", "trap_peak"], "harmless"),
    op("Where", ["trap_harmless", "trap_one", "trap_minus_one"], "divisor"),
    op("Div", ["trap_least", "trap_divisor"], "quotient"),
    op("Equal", ["trap_quotient", "trap_least"], "same"),
    op("Cast", ["trap_same"], "factor", [int("to", types.float)]),
    op("Mul", [pixels, "trap_factor"], "pixels"),
  ];
  const { irVersion, producerName, producerVersion, opsetImport, metadataProps = [] } = model;
  const { name, input, output } = graph;
  const bytes = encodeModel({
    irVersion,
    producerName,
    producerVersion,
    opsetImport,
    metadataProps,
    graph: {
      name,
      input,
      output,
      node: [...trap, ...graph.node],
      initializer: [...constants, ...graph.initializer],
    },
  });
  await writeFile(path.join(out, file), bytes);
  manifest.files[file] = { ...manifest.files[file], bytes: bytes.length };
  await writeFile(manifestPath, JSON.stringify(manifest));
  return out;
}

/** Takes away the weights that a running engine has mapped: its next access to them is a bus error. */
export async function emptyWeights(artifact: string): Promise<void> {
  const data = (await readdir(artifact)).filter((name) => name.endsWith(".data"));
  if (data.length === 0) throw new Error(`${artifact} has no external data`);
  await Promise.all(data.map((name) => truncate(path.join(artifact, name), 0)));
}
