// The OPT decoder with a key-value cache: pre-norm blocks, learned positions, scores of one position per row.
// Source of the mathematics: transformers 5.18 models/opt/modeling_opt.py.
import type { OptConfig } from "../checkpoint/config.ts";
import type { Graph } from "../onnx/graph.ts";
import * as ops from "../onnx/ops.ts";
import { addDims, dimAt, type Value } from "../onnx/value.ts";
import {
  as,
  cachedAttention,
  type KeyValue,
  maskedBias,
  noLater,
  pastBias,
  placesOf,
  splitHeads,
} from "./attention.ts";
import { decodeLoop, type RunOutputs } from "./decode-loop.ts";
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
  /** i64 [batch, prefix + tokens] */
  readonly positionIds: Value;
  /** i64 [batch]: whose scores are wanted, a place in prefix + tokens. What stands behind it is padding. */
  readonly last: Value;
  /** i64 [batch]: keys of the past that a row has; what stands behind them is not looked at. */
  readonly pastLengths: Value;
  /** i64 []: tokens to choose at most; more than one only where nothing is padded. */
  readonly steps: Value;
  /** i64 [batch]: in so many steps a row may not choose an end token. */
  readonly heldBack: Value;
  /** [batch, heads, past, headDim] of each layer. */
  readonly past: readonly KeyValue[];
}

function block(
  graph: Graph,
  config: OptConfig,
  weights: Weights,
  name: string,
  x: Value,
  context: {
    readonly past: KeyValue & { readonly bias: Value };
    readonly made: KeyValue;
    /** Of all keys that the run made, this step's too: f32 [new, all]. */
    readonly freshBias: Value;
    readonly counts: Value;
  },
) {
  const { hidden } = config;
  const { past, made, freshBias, counts } = context;
  const inner = layerNorm(graph, weights, `${name}.self_attn_layer_norm`, x, layerNormEps);
  const project = (which: string): Value =>
    linear(graph, weights, `${name}.self_attn.${which}_proj`, inner, hidden);
  const query = project("q");
  const all = dimAt(freshBias.shape, 1);
  const extend = (so: Value, which: string): Value =>
    ops.concat(graph, [so, as(graph, splitHeads(graph, project(which), config), so)], 2, all);
  const fresh = { key: extend(made.key, "k"), value: extend(made.value, "v") };
  const mixed = cachedAttention(
    graph,
    { query, past, fresh: { ...fresh, bias: freshBias }, counts },
    config,
  );
  const attended = linear(graph, weights, `${name}.self_attn.out_proj`, mixed, hidden);
  const middle = ops.add(graph, x, attended);
  const normed = layerNorm(graph, weights, `${name}.final_layer_norm`, middle, layerNormEps);
  const wide = ops.relu(graph, linear(graph, weights, `${name}.fc1`, normed, config.ffn));
  const narrow = linear(graph, weights, `${name}.fc2`, wide, hidden);
  return { x: ops.add(graph, middle, narrow), fresh };
}

/** `tiedHead`: the checkpoint has no lm_head of its own, the token embedding serves. */
export function optDecoder(
  graph: Graph,
  config: OptConfig,
  weights: Weights,
  inputs: OptInputs,
  choice: { readonly tiedHead: boolean; readonly endIds: readonly number[] },
): RunOutputs {
  const { hidden, vocab, context } = config;
  const name = "language_model.model.decoder";
  const embedTokens = `${name}.embed_tokens.weight`;
  const embedPositions = graph.external(
    weights(`${name}.embed_positions.weight`, [context + positionOffset, hidden]),
  );
  const [firstPast] = inputs.past;
  if (firstPast === undefined) throw new Error("a decoder without layers");
  const beforeRun = graph.within("past", () => ({
    bias: pastBias(graph, firstPast.key, inputs.pastLengths),
    count: ops.sizeOf(graph, firstPast.key, 2),
  }));
  const carried = {
    prefix_embeds: inputs.prefixEmbeds,
    position_ids: inputs.positionIds,
    last: inputs.last,
  };
  return decodeLoop(
    graph,
    inputs,
    { vocab, endIds: choice.endIds },
    carried,
    (body, { inputIds, made, more }) => {
      const { prefix_embeds: prefix, position_ids: positions, last } = more as typeof carried;
      const fresh = dimAt(positions.shape, 1);
      const [firstMade] = made;
      if (firstMade === undefined) throw new Error("a decoder without layers");
      const all = addDims(dimAt(firstMade.key.shape, 2), fresh);
      const start = body.within("embed", () => {
        const words = embedding(body, weights, embedTokens, [vocab, hidden], inputIds);
        const embeds = ops.concat(body, [prefix, words], 1, fresh);
        const rows = ops.add(body, positions, body.constant("int64", [positionOffset], []));
        const queries = ops.sizeOf(body, positions, 1);
        const keys = ops.add(body, ops.sizeOf(body, firstMade.key, 2), queries);
        const places = placesOf(body, { keys, queries }, { keys: all, queries: fresh });
        return {
          x: ops.add(body, embeds, ops.lookUp(body, embedPositions, rows)),
          freshBias: maskedBias(body, noLater(body, places)),
          counts: ops.concat(body, [beforeRun.count, keys], 0),
        };
      });
      let { x } = start;
      const kept = inputs.past.map((past, layer) => {
        const done = body.within(`layers.${layer}`, () =>
          block(body, config, weights, `${name}.layers.${layer}`, x, {
            ...start,
            past: { ...past, bias: beforeRun.bias },
            made: made[layer] ?? firstMade,
          }),
        );
        x = done.x;
        return done.fresh;
      });
      const wanted = ops.pickEach(body, x, last); // [batch, hidden]: norm and head of one position only
      const normed = layerNorm(body, weights, `${name}.final_layer_norm`, wanted, layerNormEps);
      const head = choice.tiedHead ? embedTokens : lmHead;
      const logits = scores(body, weights, head, normed, vocab);
      return {
        logits,
        fresh: kept,
        more: body.within("next", () => ({
          prefix_embeds: ops.slice(body, prefix, 1, { start: 0, end: 0 }),
          // A row that has all it wanted goes on while others do: it must not run off the table.
          position_ids: ops.clip(
            body,
            ops.add(
              body,
              ops.slice(body, positions, 1, { start: -1, length: 1 }),
              body.constant("int64", [1], []),
            ),
            0,
            context - 1,
          ),
          last: ops.sub(body, last, last),
        })),
      };
    },
  );
}
