// A graph whose Loop is taken once -> the same nodes without the Loop, so that blocks inside its body are found
// and cut like all others. What the first turn carries in is what the Loop is fed, what it carries out is what
// the Loop gives.
import type { AttributeProto, GraphProto, NodeProto } from "../onnx/model-proto.ts";

const bodyOf = ({ attribute }: NodeProto): GraphProto | undefined =>
  attribute.find(({ name }) => name === "body")?.g;

/** Under a scope of its own: what is passed on is part of no block. */
const node = (
  opType: string,
  input: readonly string[],
  output: string,
  attribute: readonly AttributeProto[] = [],
): NodeProto => ({
  name: `/turn/${output}`,
  opType,
  input: [...input],
  output: [output],
  attribute: [...attribute],
});

/** "/step/layers.3/MatMul" -> "/layers.3/MatMul": blocks are called what they are called without a Loop. */
const withoutLoop = (inner: NodeProto, loop: string): NodeProto => ({
  ...inner,
  name: inner.name.startsWith(`/${loop}/`) ? inner.name.slice(loop.length + 1) : inner.name,
});

function turnOnce(loop: NodeProto, body: GraphProto): NodeProto[] {
  const [, , ...given] = loop.input;
  const [turn, , ...carried] = body.input.map(({ name }) => name);
  const [, ...results] = body.output.map(({ name }) => name);
  return [
    ...(turn === undefined
      ? []
      : [node("Constant", [], turn, [{ name: "value_int", type: 2, i: 0n }])]),
    ...carried.map((name, at) => node("Identity", [given[at] ?? ""], name)),
    ...body.node.map((each) => withoutLoop(each, body.name)),
    ...results.flatMap((name, at) => {
      const target = loop.output[at] ?? "";
      if (at < carried.length) return [node("Identity", [name], target)];
      const axes = `${target}/axes`;
      return [
        node("Constant", [], axes, [{ name: "value_ints", type: 7, ints: [0n] }]),
        node("Unsqueeze", [name, axes], target),
      ];
    }),
  ];
}

/** The graph itself where it has no Loop. */
export function unrollLoop(graph: GraphProto): GraphProto {
  return {
    ...graph,
    node: graph.node.flatMap((each) => {
      const body = bodyOf(each);
      return each.opType === "Loop" && body !== undefined ? turnOnce(each, body) : [each];
    }),
  };
}
