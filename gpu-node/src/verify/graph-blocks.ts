// Cuts a graph into blocks along the scopes of its nodes' names (`/layers.3/...`), in the order in which
// they were made, which is topological. A node that stands under no scope belongs to a block of its own kind,
// a norm or a head. What crosses a border follows from who makes a value and who uses it, and from nothing else.
import type { GraphProto, NodeProto, TensorProto } from "../onnx/model-proto.ts";

/** Consecutive nodes under one scope. */
export interface Run {
  /** "layers.3"; empty for nodes under no scope. */
  readonly scope: string;
  readonly nodes: readonly NodeProto[];
}

export interface GraphBlock {
  readonly nodes: readonly NodeProto[];
  /** Values that are made outside: by other blocks, or inputs of the graph. */
  readonly inputs: readonly string[];
  /** Values that other blocks use or that the graph gives, in the order of making. */
  readonly outputs: readonly string[];
  /** Weights and constants that its nodes read. */
  readonly weights: readonly TensorProto[];
}

/**
 * "/layers.3/attention/MatMul" -> "layers.3": down to the first numbered scope, else the first one.
 * "/text/layer.0/MatMul" -> "text/layer.0", "/MatMul" -> "".
 */
function scopeOf({ name }: NodeProto): string {
  const scopes = name.split("/").slice(1, -1);
  const numbered = scopes.findIndex((scope) => /\.\d+$/.test(scope));
  return scopes.slice(0, numbered === -1 ? 1 : numbered + 1).join("/");
}

/** A scope that comes again later is another run: "layers.3", "layers.3 (2)". */
export function splitRuns(graph: GraphProto): Run[] {
  const runs: { scope: string; nodes: NodeProto[] }[] = [];
  let current = "";
  for (const node of graph.node) {
    const scope = scopeOf(node);
    const run = runs.at(-1);
    if (run !== undefined && scope === current) run.nodes.push(node);
    else runs.push({ scope, nodes: [node] });
    current = scope;
  }
  const seen = new Map<string, number>();
  return runs.map(({ scope, nodes }) => {
    const count = (seen.get(scope) ?? 0) + 1;
    seen.set(scope, count);
    return { scope: scope === "" || count === 1 ? scope : `${scope} (${count})`, nodes };
  });
}

/** What a node reads, with what the graphs inside it (the body of a Loop) take from around them. */
function usedBy(node: NodeProto): string[] {
  const captured = node.attribute.flatMap(({ g }) => (g === undefined ? [] : capturedBy(g)));
  return [...node.input.filter((name) => name !== ""), ...captured];
}

function capturedBy(body: GraphProto): string[] {
  const own = new Set([
    ...body.input.map(({ name }) => name),
    ...body.initializer.map(({ name }) => name),
    ...body.node.flatMap(({ output }) => output),
  ]);
  const used = [...body.node.flatMap(usedBy), ...body.output.map(({ name }) => name)];
  return used.filter((name) => !own.has(name));
}

/** The borders of blocks whose nodes together are the graph's. */
export function findBorders(
  graph: GraphProto,
  blocks: readonly (readonly NodeProto[])[],
): GraphBlock[] {
  const weights = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const used = blocks.map((nodes) => [...new Set(nodes.flatMap(usedBy))]);
  const given = new Set(graph.output.map(({ name }) => name));
  return blocks.map((nodes, at) => {
    const made = new Set(nodes.flatMap(({ output }) => output));
    const elsewhere = new Set(used.filter((_, other) => other !== at).flat());
    const own = used[at] ?? [];
    return {
      nodes,
      inputs: own.filter((name) => !made.has(name) && !weights.has(name)),
      outputs: [...made].filter((name) => elsewhere.has(name) || given.has(name)),
      weights: own.flatMap((name) => weights.get(name) ?? []),
    };
  });
}
