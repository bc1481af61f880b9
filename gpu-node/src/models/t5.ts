// T5: an encoder over image and text, a decoder that looks at it. Pre-norm blocks without biases, scores
// without scaling, relative positions. What the decoder needs of the encoder's output, the keys and values
// of its cross attention, is computed once, with the encoder.
// Source of the mathematics: transformers 5.18 models/t5/modeling_t5.py.
import type { T5Config } from "../checkpoint/config.ts";
import type { Graph } from "../onnx/graph.ts";
import * as ops from "../onnx/ops.ts";
import { addDims, dimAt, type Value } from "../onnx/value.ts";
import {
  as,
  attention,
  cachedAttention,
  type KeyValue,
  maskedBias,
  pastBias,
  pastPlaces,
  placesOf,
  splitHeads,
  visibleKeys,
} from "./attention.ts";
import { decodeLoop, type RunOutputs } from "./decode-loop.ts";
import { embedding, linear, rmsNorm, scores } from "./layers.ts";
import { relativeBuckets } from "./relative-buckets.ts";
import { lmHead, type Weights } from "./weights.ts";

const root = "language_model";
const withoutBias = { bias: false } as const;

/** One table serves encoder and decoder: [vocab, hidden]. */
const embedTokens = `${root}.shared.weight`;

/**
 * What the distance of key and query adds to every block's scores: of `relative` i64 [rows, queries, keys], the
 * place of the key less that of the query, f32 [rows, heads, queries, keys]. The checkpoint keeps the table
 * with the first block of a stack.
 */
function relativeBias(
  graph: Graph,
  config: T5Config,
  weights: Weights,
  stack: "encoder" | "decoder",
  relative: Value,
): Value {
  const { buckets, maxDistance, heads } = config;
  const name = `${root}.${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
  const table = graph.external(weights(name, [buckets, heads]));
  const bucketOf = relativeBuckets({ buckets, maxDistance, bidirectional: stack === "encoder" });
  // Constants both, so the runtime looks up once, when it loads: f32 [2 * maxDistance + 1, heads].
  const byDistance = ops.lookUp(graph, table, graph.constant("int64", bucketOf));
  const near = ops.clip(graph, relative, -maxDistance, maxDistance);
  const rows = ops.add(graph, near, graph.constant("int64", [maxDistance], []));
  return ops.transpose(graph, ops.lookUp(graph, byDistance, rows), [0, 3, 1, 2]);
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

/** Of what `normed` asks; `mix` attends. The result is added to the residual stream by the caller. */
function attend(
  graph: Graph,
  config: T5Config,
  weights: Weights,
  name: string,
  normed: Value,
  mix: (query: Value) => Value,
): Value {
  const inner = config.heads * config.headDim;
  const query = linear(graph, weights, `${name}.q`, normed, inner, withoutBias);
  return linear(graph, weights, `${name}.o`, mix(query), config.hidden, withoutBias);
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
    const distances = ops.sub(graph, places.keys, places.queries); // [queries, keys]
    const relative = relativeBias(
      graph,
      config,
      weights,
      "encoder",
      ops.unsqueeze(graph, distances, [0]),
    );
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
        const source = { ...keyValue(graph, config, weights, own, normed), bias, scale: 1 };
        const mix = (query: Value): Value => attention(graph, { query, ...source }, config);
        return ops.add(graph, x, attend(graph, config, weights, own, normed, mix));
      });
      return feedForward(graph, config, weights, `${name}.layer.1`, attended);
    });
  }
  return rmsNorm(graph, weights, `${root}.encoder.final_layer_norm`, x, config.layerNormEps);
}

/** Keys and values of every decoder block's cross attention, in the numbers of `kind`. */
export const t5CrossCache = (
  graph: Graph,
  config: T5Config,
  weights: Weights,
  encoderHiddenStates: Value,
  kind: Pick<Value, "type">,
): readonly KeyValue[] =>
  Array.from({ length: config.decoderLayers }, (_, layer) =>
    graph.within(`cross.${layer}`, () => {
      const name = `${root}.decoder.block.${layer}.layer.1.EncDecAttention`;
      const { key, value } = keyValue(graph, config, weights, name, encoderHiddenStates);
      return { key: as(graph, key, kind), value: as(graph, value, kind) };
    }),
  );

export interface T5DecoderInputs {
  /** i64 [batch, 1] */
  readonly inputIds: Value;
  /** i64 [batch, source]: the encoder's mask. */
  readonly encoderAttentionMask: Value;
  /** i64 [batch]: keys of the past that a row has; what stands behind them is not looked at. */
  readonly pastLengths: Value;
  /** i64 []: tokens to choose at most. */
  readonly steps: Value;
  /** i64 [batch]: in so many steps a row may not choose an end token. */
  readonly heldBack: Value;
  /** Of each block: keys and values so far, [batch, heads, past, headDim]. */
  readonly past: readonly KeyValue[];
  /** Of each block: `t5CrossCache`. */
  readonly cross: readonly KeyValue[];
}

/** `tiedHead`: the checkpoint has no lm_head of its own, the token embedding serves. */
export function t5Decoder(
  graph: Graph,
  config: T5Config,
  weights: Weights,
  inputs: T5DecoderInputs,
  choice: { readonly tiedHead: boolean; readonly endIds: readonly number[] },
): RunOutputs {
  const { hidden, vocab, layerNormEps } = config;
  const [firstPast] = inputs.past;
  if (firstPast === undefined) throw new Error("a decoder without blocks");
  const beforeRun = graph.within("past", () => ({
    bias: pastBias(graph, firstPast.key, inputs.pastLengths),
    count: ops.sizeOf(graph, firstPast.key, 2),
    places: pastPlaces(graph, firstPast.key),
    lengths: ops.unsqueeze(graph, inputs.pastLengths, [1]), // [batch, 1]
    crossBias: maskedBias(graph, visibleKeys(graph, inputs.encoderAttentionMask)),
  }));
  return decodeLoop(
    graph,
    inputs,
    { vocab, endIds: choice.endIds },
    {},
    (body, { turn, inputIds, made }) => {
      const [firstMade] = made;
      if (firstMade === undefined) throw new Error("a decoder without blocks");
      const all = addDims(dimAt(firstMade.key.shape, 2), 1);
      const start = body.within("embed", () => {
        const one = body.constant("int64", [1]);
        const keys = ops.add(body, ops.sizeOf(body, firstMade.key, 2), one);
        // A row's query stands as many places behind its past as the run has made turns.
        const query = ops.add(body, beforeRun.lengths, turn); // [batch, 1]
        const before = ops.sub(body, beforeRun.places, query); // [batch, past]
        const since = ops.sub(body, ops.range(body, ops.scalar(body, keys), all), turn); // [all]
        const bias = (relative: Value): Value =>
          relativeBias(body, config, weights, "decoder", relative);
        return {
          x: embedding(body, weights, embedTokens, [vocab, hidden], inputIds),
          pastBias: ops.add(body, bias(ops.unsqueeze(body, before, [1])), beforeRun.bias),
          freshBias: bias(ops.unsqueeze(body, since, [0, 1])),
          counts: ops.concat(body, [beforeRun.count, keys], 0),
        };
      });
      let { x } = start;
      const fresh = inputs.past.map((past, layer) =>
        body.within(`block.${layer}`, () => {
          const name = `${root}.decoder.block.${layer}`;
          const norm = (sublayer: number): Value =>
            rmsNorm(body, weights, `${name}.layer.${sublayer}.layer_norm`, x, layerNormEps);
          const own = body.within("self", () => {
            const normed = norm(0);
            const attention = `${name}.layer.0.SelfAttention`;
            const now = keyValue(body, config, weights, attention, normed);
            const so = made[layer] ?? firstMade;
            const key = ops.concat(body, [so.key, as(body, now.key, so.key)], 2, all);
            const value = ops.concat(body, [so.value, as(body, now.value, so.value)], 2, all);
            const mix = (query: Value): Value =>
              cachedAttention(
                body,
                {
                  query,
                  past: { ...past, bias: start.pastBias },
                  fresh: { key, value, bias: start.freshBias },
                  counts: start.counts,
                  scale: 1,
                },
                config,
              );
            x = ops.add(body, x, attend(body, config, weights, attention, normed, mix));
            return { key, value };
          });
          body.within("cross", () => {
            const cross = inputs.cross[layer];
            if (cross === undefined) throw new Error(`no cross cache for block ${layer}`);
            const attention_ = `${name}.layer.1.EncDecAttention`;
            const source = { ...cross, bias: beforeRun.crossBias, scale: 1 };
            const mix = (query: Value): Value => attention(body, { query, ...source }, config);
            x = ops.add(body, x, attend(body, config, weights, attention_, norm(1), mix));
          });
          x = feedForward(body, config, weights, `${name}.layer.2`, x);
          return own;
        }),
      );
      const last = ops.pick(body, x, 1, 0); // [batch, hidden]
      const normed = rmsNorm(body, weights, `${root}.decoder.final_layer_norm`, last, layerNormEps);
      const scaled = config.scaleOutputs
        ? ops.mul(body, normed, body.constant("float32", [hidden ** -0.5], []))
        : normed;
      const head = choice.tiedHead ? embedTokens : lmHead;
      return { logits: scores(body, weights, head, scaled, vocab), fresh, more: {} };
    },
  );
}
