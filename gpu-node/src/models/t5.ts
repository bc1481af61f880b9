// T5: an encoder over image and text, a decoder that looks at it. Pre-norm blocks without biases, scores
// without scaling, relative positions. What the decoder needs of the encoder's output, the keys and values
// of its cross attention, is computed once, with the encoder.
// Source of the mathematics: transformers 5.18 models/t5/modeling_t5.py.
import type { T5Config } from "../checkpoint/config.ts";
import type { Graph } from "../onnx/graph.ts";
import * as ops from "../onnx/ops.ts";
import { addDims, dimAt, type Value } from "../onnx/value.ts";
import {
  attention,
  maskedBias,
  noLater,
  type Places,
  placesOf,
  splitHeads,
  visibleKeys,
} from "./attention.ts";
import { embedding, linear, rmsNorm, scores } from "./layers.ts";
import { relativeBuckets } from "./relative-buckets.ts";
import { lmHead, type Weights } from "./weights.ts";

export interface KeyValue {
  /** f32 [batch, heads, keys, headDim] */
  readonly key: Value;
  /** f32 [batch, heads, keys, headDim] */
  readonly value: Value;
}

const root = "language_model";
const withoutBias = { bias: false } as const;

/** One table serves encoder and decoder: [vocab, hidden]. */
const embedTokens = `${root}.shared.weight`;

/**
 * What the distance of key and query adds to every block's scores: f32 [1, heads, queries, keys]. The
 * checkpoint keeps the table with the first block of a stack.
 */
function relativeBias(
  graph: Graph,
  config: T5Config,
  weights: Weights,
  stack: "encoder" | "decoder",
  places: Places,
): Value {
  const { buckets, maxDistance, heads } = config;
  const name = `${root}.${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
  const table = graph.external(weights(name, [buckets, heads]));
  const bucketOf = relativeBuckets({ buckets, maxDistance, bidirectional: stack === "encoder" });
  // Constants both, so the runtime looks up once, when it loads: f32 [2 * maxDistance + 1, heads].
  const byDistance = ops.lookUp(graph, table, graph.constant("int64", bucketOf));
  const relative = ops.sub(graph, places.keys, places.queries); // [queries, keys]
  const near = ops.clip(graph, relative, -maxDistance, maxDistance);
  const rows = ops.add(graph, near, graph.constant("int64", [maxDistance], []));
  const bias = ops.transpose(graph, ops.lookUp(graph, byDistance, rows), [2, 0, 1]);
  return ops.unsqueeze(graph, bias, [0]);
}

/** Keys and values of `x`, split into heads. */
function keyValue(
  graph: Graph,
  config: T5Config,
  weights: Weights,
  name: string,
  x: Value,
): KeyValue {
  const project = (which: "k" | "v"): Value =>
    splitHeads(
      graph,
      linear(graph, weights, `${name}.${which}`, x, config.heads * config.headDim, withoutBias),
      config,
    );
  return { key: project("k"), value: project("v") };
}

/** `normed` asks; the result is added to the residual stream by the caller. */
function attend(
  graph: Graph,
  config: T5Config,
  weights: Weights,
  name: string,
  normed: Value,
  source: KeyValue & { readonly bias: Value },
): Value {
  const inner = config.heads * config.headDim;
  const query = linear(graph, weights, `${name}.q`, normed, inner, withoutBias);
  const mixed = attention(graph, { query, ...source, scale: 1 }, config);
  return linear(graph, weights, `${name}.o`, mixed, config.hidden, withoutBias);
}

function activate(graph: Graph, config: T5Config, x: Value): Value {
  switch (config.activation) {
    case "relu":
      return ops.relu(graph, x);
    case "gelu":
      return ops.gelu(graph, x);
    case "gelu_new":
      return ops.gelu(graph, x, "tanh");
  }
}

/** The last sublayer of a block: x + wo(act(wi_0 y) * wi_1 y), or x + wo(act(wi y)), with y = norm(x). */
function feedForward(
  graph: Graph,
  config: T5Config,
  weights: Weights,
  layer: string,
  x: Value,
): Value {
  const normed = rmsNorm(graph, weights, `${layer}.layer_norm`, x, config.layerNormEps);
  const name = `${layer}.DenseReluDense`;
  const widen = (which: string): Value =>
    linear(graph, weights, `${name}.${which}`, normed, config.ffn, withoutBias);
  const wide = config.gated
    ? ops.mul(graph, activate(graph, config, widen("wi_0")), widen("wi_1"))
    : activate(graph, config, widen("wi"));
  // Trained in bfloat16, T5 puts numbers here that half precision cannot hold.
  const options = { bias: false, wideRange: true } as const;
  return ops.add(graph, x, linear(graph, weights, `${name}.wo`, wide, config.hidden, options));
}

export interface T5EncoderInputs {
  /** i64 [batch, tokens] */
  readonly inputIds: Value;
  /** f32 [batch, prefix, hidden]: stands before the tokens. */
  readonly prefixEmbeds: Value;
  /** i64 [batch, prefix + tokens]: 1 where a position may be looked at. */
  readonly attentionMask: Value;
}

/** The last hidden states, f32 [batch, prefix + tokens, hidden]. */
export function t5Encoder(
  graph: Graph,
  config: T5Config,
  weights: Weights,
  inputs: T5EncoderInputs,
): Value {
  const all = dimAt(inputs.attentionMask.shape, 1);
  const { embeds, bias } = graph.within("embed", () => {
    const dims = [config.vocab, config.hidden] as const;
    const words = embedding(graph, weights, embedTokens, dims, inputs.inputIds);
    const count = ops.sizeOf(graph, inputs.attentionMask, 1);
    const places = placesOf(graph, { keys: count, queries: count }, { keys: all, queries: all });
    const relative = relativeBias(graph, config, weights, "encoder", places);
    return {
      embeds: ops.concat(graph, [inputs.prefixEmbeds, words], 1, all),
      bias: maskedBias(graph, visibleKeys(graph, inputs.attentionMask), relative),
    };
  });
  let x = embeds;
  for (let layer = 0; layer < config.encoderLayers; layer += 1) {
    x = graph.within(`block.${layer}`, () => {
      const name = `${root}.encoder.block.${layer}`;
      const attended = graph.within("self", () => {
        const normed = rmsNorm(
          graph,
          weights,
          `${name}.layer.0.layer_norm`,
          x,
          config.layerNormEps,
        );
        const own = `${name}.layer.0.SelfAttention`;
        const source = { ...keyValue(graph, config, weights, own, normed), bias };
        return ops.add(graph, x, attend(graph, config, weights, own, normed, source));
      });
      return feedForward(graph, config, weights, `${name}.layer.1`, attended);
    });
  }
  return rmsNorm(graph, weights, `${root}.encoder.final_layer_norm`, x, config.layerNormEps);
}

/** Keys and values of every decoder block's cross attention. */
export const t5CrossCache = (
  graph: Graph,
  config: T5Config,
  weights: Weights,
  encoderHiddenStates: Value,
): readonly KeyValue[] =>
  Array.from({ length: config.decoderLayers }, (_, layer) =>
    graph.within(`cross.${layer}`, () => {
      const name = `${root}.decoder.block.${layer}.layer.1.EncDecAttention`;
      return keyValue(graph, config, weights, name, encoderHiddenStates);
    }),
  );

export interface T5DecoderInputs {
  /** i64 [batch, tokens] */
  readonly inputIds: Value;
  /** i64 [batch, source]: the encoder's mask. */
  readonly encoderAttentionMask: Value;
  /** Of each block: keys and values so far, f32 [batch, heads, past, headDim]. */
  readonly past: readonly KeyValue[];
  /** Of each block: `t5CrossCache`. */
  readonly cross: readonly KeyValue[];
}
export interface T5DecoderOutputs {
  /** f32 [batch, vocab] of the last position. */
  readonly logits: Value;
  readonly present: readonly KeyValue[];
}

/** `tiedHead`: the checkpoint has no lm_head of its own, the token embedding serves. */
export function t5Decoder(
  graph: Graph,
  config: T5Config,
  weights: Weights,
  inputs: T5DecoderInputs,
  tiedHead: boolean,
): T5DecoderOutputs {
  const { hidden, vocab, layerNormEps } = config;
  const fresh = dimAt(inputs.inputIds.shape, 1);
  const [first] = inputs.past;
  if (first === undefined) throw new Error("a decoder without blocks");
  const all = addDims(dimAt(first.key.shape, 2), fresh);
  const { embeds, selfBias, crossBias } = graph.within("embed", () => {
    const queries = ops.sizeOf(graph, inputs.inputIds, 1);
    const keys = ops.add(graph, ops.sizeOf(graph, first.key, 2), queries);
    const places = placesOf(graph, { keys, queries }, { keys: all, queries: fresh });
    const relative = relativeBias(graph, config, weights, "decoder", places);
    return {
      embeds: embedding(graph, weights, embedTokens, [vocab, hidden], inputs.inputIds),
      selfBias: maskedBias(graph, noLater(graph, places), relative),
      crossBias: maskedBias(graph, visibleKeys(graph, inputs.encoderAttentionMask)),
    };
  });
  let x = embeds;
  const present = inputs.past.map((past, layer) =>
    graph.within(`block.${layer}`, () => {
      const name = `${root}.decoder.block.${layer}`;
      const norm = (sublayer: number): Value =>
        rmsNorm(graph, weights, `${name}.layer.${sublayer}.layer_norm`, x, layerNormEps);
      const own = graph.within("self", () => {
        const normed = norm(0);
        const attention = `${name}.layer.0.SelfAttention`;
        const made = keyValue(graph, config, weights, attention, normed);
        const key = ops.concat(graph, [past.key, made.key], 2, all);
        const value = ops.concat(graph, [past.value, made.value], 2, all);
        const source = { key, value, bias: selfBias };
        x = ops.add(graph, x, attend(graph, config, weights, attention, normed, source));
        return { key, value };
      });
      graph.within("cross", () => {
        const cross = inputs.cross[layer];
        if (cross === undefined) throw new Error(`no cross cache for block ${layer}`);
        const attention = `${name}.layer.1.EncDecAttention`;
        const source = { ...cross, bias: crossBias };
        x = ops.add(graph, x, attend(graph, config, weights, attention, norm(1), source));
      });
      x = feedForward(graph, config, weights, `${name}.layer.2`, x);
      return own;
    }),
  );
  const last = ops.pick(graph, x, 1, -1); // [batch, hidden]: the norm and the head of one position only
  const normed = rmsNorm(graph, weights, `${root}.decoder.final_layer_norm`, last, layerNormEps);
  const scaled = config.scaleOutputs
    ? ops.mul(graph, normed, graph.constant("float32", [hidden ** -0.5], []))
    : normed;
  const head = tiedHead ? embedTokens : lmHead;
  return { logits: scores(graph, weights, head, scaled, vocab), present };
}
