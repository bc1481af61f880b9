// The OPT decoder with a key-value cache: pre-norm blocks, learned positions, logits of the last position.
// Source of the mathematics: transformers 5.18 models/opt/modeling_opt.py.
import type { OptConfig } from "../checkpoint/config.ts";
import type { Graph } from "../onnx/graph.ts";
import * as ops from "../onnx/ops.ts";
import { dimAt, type Value } from "../onnx/value.ts";
import { attention, maskedBias, noLater, placesOf, splitHeads, visibleKeys } from "./attention.ts";
import { embedding, layerNorm, linear, scores } from "./layers.ts";
import { lmHead, type Weights } from "./weights.ts";

/** torch.nn.LayerNorm's default; OPT's configuration has no field for it. */
const layerNormEps = 1e-5;
/** Row of `embed_positions` that position 0 uses. */
const positionOffset = 2;

export interface OptInputs {
  /** i64 [batch, tokens] */
  readonly inputIds: Value;
  /** f32 [batch, prefix, hidden]: stands before the tokens; prefix may be 0. */
  readonly prefixEmbeds: Value;
  /** i64 [batch, past + prefix + tokens]: 1 where a key may be looked at. */
  readonly attentionMask: Value;
  /** i64 [batch, prefix + tokens] */
  readonly positionIds: Value;
  /** f32 [batch, heads, past, headDim] of each layer. */
  readonly past: readonly { readonly key: Value; readonly value: Value }[];
}
export interface OptOutputs {
  /** f32 [batch, vocab] */
  readonly logits: Value;
  readonly present: readonly { readonly key: Value; readonly value: Value }[];
}

/** 0 where a query may look at a key, a very low number elsewhere: f32 [batch, 1, new, all]. */
function causalBias(graph: Graph, mask: Value, positionIds: Value): Value {
  const counts = {
    keys: ops.sizeOf(graph, mask, 1),
    queries: ops.sizeOf(graph, positionIds, 1),
  };
  const names = { keys: dimAt(mask.shape, 1), queries: dimAt(positionIds.shape, 1) };
  const causal = noLater(graph, placesOf(graph, counts, names)); // [new, all]
  return maskedBias(graph, ops.and(graph, visibleKeys(graph, mask), causal));
}

function block(
  graph: Graph,
  config: OptConfig,
  weights: Weights,
  name: string,
  x: Value,
  context: {
    readonly past: { readonly key: Value; readonly value: Value };
    readonly bias: Value;
  },
) {
  const { hidden } = config;
  const inner = layerNorm(graph, weights, `${name}.self_attn_layer_norm`, x, layerNormEps);
  const project = (which: string): Value =>
    linear(graph, weights, `${name}.self_attn.${which}_proj`, inner, hidden);
  const query = project("q");
  const all = dimAt(context.bias.shape, 3);
  const key = ops.concat(
    graph,
    [context.past.key, splitHeads(graph, project("k"), config)],
    2,
    all,
  );
  const value = ops.concat(
    graph,
    [context.past.value, splitHeads(graph, project("v"), config)],
    2,
    all,
  );
  const mixed = attention(graph, { query, key, value, bias: context.bias }, config);
  const attended = linear(graph, weights, `${name}.self_attn.out_proj`, mixed, hidden);
  const middle = ops.add(graph, x, attended);
  const normed = layerNorm(graph, weights, `${name}.final_layer_norm`, middle, layerNormEps);
  const wide = ops.relu(graph, linear(graph, weights, `${name}.fc1`, normed, config.ffn));
  const narrow = linear(graph, weights, `${name}.fc2`, wide, hidden);
  return { x: ops.add(graph, middle, narrow), present: { key, value } };
}

/** `tiedHead`: the checkpoint has no lm_head of its own, the token embedding serves. */
export function optDecoder(
  graph: Graph,
  config: OptConfig,
  weights: Weights,
  inputs: OptInputs,
  tiedHead: boolean,
): OptOutputs {
  const { hidden, vocab, context } = config;
  const name = "language_model.model.decoder";
  const embedTokens = `${name}.embed_tokens.weight`;
  const embedPositions = graph.external(
    weights(`${name}.embed_positions.weight`, [context + positionOffset, hidden]),
  );
  const fresh = dimAt(inputs.positionIds.shape, 1);
  const { hiddenStates, bias } = graph.within("embed", () => {
    const words = embedding(graph, weights, embedTokens, [vocab, hidden], inputs.inputIds);
    const embeds = ops.concat(graph, [inputs.prefixEmbeds, words], 1, fresh);
    const rows = ops.add(graph, inputs.positionIds, graph.constant("int64", [positionOffset], []));
    return {
      hiddenStates: ops.add(graph, embeds, ops.lookUp(graph, embedPositions, rows)),
      bias: causalBias(graph, inputs.attentionMask, inputs.positionIds),
    };
  });
  let x = hiddenStates;
  const present = inputs.past.map((past, layer) => {
    const made = graph.within(`layers.${layer}`, () =>
      block(graph, config, weights, `${name}.layers.${layer}`, x, { past, bias }),
    );
    x = made.x;
    return made.present;
  });
  const last = ops.pick(graph, x, 1, -1); // [batch, hidden]: the norm and the head of one position only
  const normed = layerNorm(graph, weights, `${name}.final_layer_norm`, last, layerNormEps);
  const head = tiedHead ? embedTokens : lmHead;
  return { logits: scores(graph, weights, head, normed, vocab), present };
}
