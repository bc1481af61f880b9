// A finished graph -> the bytes of its .onnx file: operator set versions, IR version, producer.
import { encodeModel, type GraphProto } from "./model-proto.ts";
import type { ExternalTensor, Graph, Placement } from "./graph.ts";

/** ONNX 1.16: the first IR version that goes with opset 21. */
const irVersion = 10;
const opset = 21;

/** Metadata: how many numbers of the checkpoint the graph holds, however they are coded. */
export const parametersKey = "blip2.parameters";
/** Of them, those that an earlier graph of the same data file reads too. */
export const sharedParametersKey = "blip2.shared_parameters";

/** `place` says where each external tensor stands; it is asked for every tensor of the graph. */
export function encodeGraph(
  graph: Graph,
  place: (tensor: ExternalTensor) => Placement,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const proto = graph.toProto(place);
  refuseDeadNodes(proto);
  return encodeModel({
    irVersion: BigInt(irVersion),
    producerName: "blip2-edge",
    producerVersion: "0.1.0",
    graph: proto,
    opsetImport: [
      { domain: "", version: BigInt(opset) },
      ...[...graph.domains].sort().map((domain) => ({ domain, version: 1n })),
    ],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  });
}

/** Names that nodes of the graph and of the graphs inside it read, or that these graphs give. */
const readIn = (graph: GraphProto): string[] => [
  ...graph.output.map(({ name }) => name),
  ...graph.node.flatMap(({ input, attribute }) => [
    ...input,
    ...attribute.flatMap(({ g }) => (g === undefined ? [] : readIn(g))),
  ]),
];

/** A node that nobody reads would be computed all the same, and its result kept to the end. */
function refuseDeadNodes(graph: GraphProto): void {
  const read = new Set(readIn(graph));
  for (const { name, output, attribute } of graph.node) {
    if (!output.some((each) => read.has(each))) throw new Error(`nobody reads the node ${name}`);
    for (const { g } of attribute) if (g !== undefined) refuseDeadNodes(g);
  }
}
