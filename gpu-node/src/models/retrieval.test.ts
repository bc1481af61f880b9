// What the matching graph computes once and what once per text, read from the graph itself.
import { describe, expect, test } from "vitest";
import { floatWeights, tinyRetrievalConfig } from "../../../test/support/tiny-checkpoint.ts";
import { parseModelConfig } from "../checkpoint/read-config.ts";
import { createGraph } from "../onnx/graph.ts";
import type { NodeProto } from "../onnx/model-proto.ts";
import { blip2Graphs } from "./graphs.ts";
import { matchingModel } from "./retrieval.ts";

const config = parseModelConfig({
  ...tinyRetrievalConfig,
  qformer_config: { ...tinyRetrievalConfig.qformer_config, num_hidden_layers: 4 },
});
if (config.family !== "retrieval") throw new Error("not retrieval");

function itmGraph() {
  const graph = createGraph("itm");
  const { tokens, hidden } = config.vision;
  if (config.family !== "retrieval") throw new Error("not retrieval");
  const logits = matchingModel(
    graph,
    config,
    floatWeights(),
    graph.input("image_embeds", "float32", [1, tokens, hidden]),
    {
      inputIds: graph.input("input_ids", "int64", ["batch", "tokens"]),
      attentionMask: graph.input("attention_mask", "int64", ["batch", "tokens"]),
    },
  );
  graph.output("logits", logits);
  return { logits, nodes: graph.toProto(() => ({ file: "x", offset: 0, bytes: 0 })).node };
}

/** Every node on the way from a graph input or weight to what `names` are. */
function upstream(nodes: readonly NodeProto[], names: readonly string[]): Set<string> {
  const found = new Set(names);
  for (const node of nodes.toReversed()) {
    if (node.output.some((name) => found.has(name))) node.input.forEach((name) => found.add(name));
  }
  return found;
}

describe("the matching graph", () => {
  test("makes keys and values of the image from the image alone, not from a copy per text", () => {
    const { nodes } = itmGraph();
    for (const layer of [0, 2]) {
      for (const which of ["key", "value"]) {
        const weight = `qformer.encoder.layer.${layer}.crossattention.attention.${which}.weight.transposed`;
        const [product, ...more] = nodes.filter((node) => node.input.includes(weight));
        expect(more).toEqual([]);
        const sources = upstream(nodes, product?.output ?? []);
        expect(sources).toContain("image_embeds");
        expect(sources).not.toContain("input_ids");
      }
    }
    // Nothing else reads the image: it is never repeated.
    const readers = nodes.filter((node) => node.input.includes("image_embeds"));
    expect(readers.map((node) => node.opType)).toEqual(["MatMul", "MatMul", "MatMul", "MatMul"]);
  });

  test("gives two logits per text", () => {
    expect(itmGraph().logits).toMatchObject({ type: "float32", shape: ["batch", 2] });
  });

  test("leaves out the text's last feed-forward, which nobody reads", () => {
    const { nodes } = itmGraph();
    const uses = (name: string) => nodes.filter(({ input }) => input.includes(name)).length;
    expect(uses("qformer.encoder.layer.2.intermediate.dense.weight.transposed")).toBe(1);
    expect(uses("qformer.encoder.layer.3.intermediate.dense.weight.transposed")).toBe(0);
    expect(uses("qformer.encoder.layer.3.intermediate_query.dense.weight.transposed")).toBe(1);
  });
});

test("all graphs together ask for the published checkpoint's 809 tensors and 1,172,032,258 numbers", () => {
  const published = parseModelConfig({
    model_type: "blip-2",
    architectures: ["Blip2ForImageTextRetrieval"],
    qformer_config: { vocab_size: 30523 },
  });
  if (published.family !== "retrieval") throw new Error("not retrieval");
  const counts = new Map<string, number>();
  const count = floatWeights((name, dims) =>
    counts.set(
      name,
      dims.reduce((product, dim) => product * dim, 1),
    ),
  );
  const image = { size: 224, rescaleFactor: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  blip2Graphs({ ...published, image }, () => count, { tiedHead: true, cache: "float32" });
  expect(counts.size).toBe(809);
  expect([...counts.values()].reduce((sum, each) => sum + each, 0)).toBe(1_172_032_258);
});
