// Several tokens in one run of the decoder: a Loop whose every turn is one step of the language model and the
// choice of the most probable token. Keys and values of before the run are inputs that the body reads where they
// lie; a turn carries only those that the run itself made. The first turn may read a whole prompt, so prefill and
// decoding are one graph with one copy of the weights.
import type { Graph } from "../onnx/graph.ts";
import { loop } from "../onnx/loop.ts";
import * as ops from "../onnx/ops.ts";
import { dimAt, type Value } from "../onnx/value.ts";
import type { KeyValue } from "./attention.ts";

export interface RunInputs {
  /** i64 [batch, tokens]: fed in the first turn. */
  readonly inputIds: Value;
  /** i64 []: turns at most. */
  readonly steps: Value;
  /** i64 [batch]: in so many turns a row may not choose an end token. */
  readonly heldBack: Value;
  /** [batch, heads, past, headDim] of each layer. */
  readonly past: readonly KeyValue[];
}

/** What one step of a language model is given besides the weights. */
export interface StepInputs {
  /** i64 []: 0 in the first turn. */
  readonly turn: Value;
  /** i64 [batch, tokens] */
  readonly inputIds: Value;
  /** Of each layer, what earlier turns of this run made: [batch, heads, made, headDim]. */
  readonly made: readonly KeyValue[];
  /** What else the family carries from turn to turn, by its own names. */
  readonly more: Readonly<Record<string, Value>>;
}
export interface StepOutputs {
  /** f32 [batch, vocab] */
  readonly logits: Value;
  /** As `made`, with this turn's own. */
  readonly fresh: readonly KeyValue[];
  readonly more: Readonly<Record<string, Value>>;
}

export interface RunOutputs {
  /** Of the last turn: f32 [batch, vocab]. */
  readonly logits: Value;
  /** i64 [turns, batch] */
  readonly ids: Value;
  /** log-softmax of the raw scores at the ids: f32 [turns, batch]. */
  readonly logProbs: Value;
  /** [batch, heads, made, headDim] of each layer, in the numbers of the past. */
  readonly fresh: readonly KeyValue[];
}

export interface Choice {
  readonly vocab: number;
  readonly endIds: readonly number[];
}

interface StartValues {
  /** What the first turn is given, by name. */
  readonly start: Readonly<Record<string, Value>>;
  /** Whether an id is an end token: bool [vocab]. */
  readonly ends: Value;
}

const lowest = -3.4028234663852886e38;

const isEnd = (graph: Graph, ids: Value, endIds: readonly number[]): Value =>
  endIds
    .map((id) => ops.equal(graph, ids, graph.constant("int64", [id], [])))
    .reduce((one, other) => ops.or(graph, one, other));

/** `more` is what the first turn is given of what the family carries. */
export function decodeLoop(
  graph: Graph,
  inputs: RunInputs,
  { vocab, endIds }: Choice,
  more: Readonly<Record<string, Value>>,
  step: (body: Graph, inputs: StepInputs) => StepOutputs,
): RunOutputs {
  const { inputIds, heldBack, past } = inputs;
  const batch = dimAt(inputIds.shape, 0);
  const rows = ops.sizeOf(graph, inputIds, 0);
  const { start, ends } = graph.within<StartValues>("start", () => {
    const size = ops.concat(graph, [rows, graph.constant("int64", [vocab])], 0);
    const nobody = graph.constant("int64", [0], []);
    return {
      // Constant but for its use: the runtime computes it when it loads. bool [vocab].
      ends: isEnd(graph, ops.range(graph, graph.constant("int64", [vocab], []), vocab), endIds),
      start: {
        input_ids: inputIds,
        ended: ops.less(graph, heldBack, nobody), // bool [batch]
        logits: ops.zeros(graph, size, [batch, vocab]),
        ...Object.fromEntries(
          past.flatMap(({ key, value }, layer) => [
            [`key.${layer}`, ops.slice(graph, key, 2, { start: 0, end: 0 })],
            [`value.${layer}`, ops.slice(graph, value, 2, { start: 0, end: 0 })],
          ]),
        ),
        ...more,
      },
    };
  });
  const madeShape = past.flatMap(({ key }, layer) => {
    const shape = key.shape.map((dim, axis) => (axis === 2 ? "made" : dim));
    return [
      [`key.${layer}`, shape],
      [`value.${layer}`, shape],
    ] as const;
  });

  const result = loop(
    graph,
    "step",
    inputs.steps,
    start,
    Object.fromEntries(madeShape),
    (body, turn, carried) => {
      const get = (name: string): Value => {
        const value = carried[name];
        if (value === undefined) throw new Error(`nothing called ${name} is carried`);
        return value;
      };
      const made = past.map((_, layer) => ({
        key: get(`key.${layer}`),
        value: get(`value.${layer}`),
      }));
      const given = Object.fromEntries(Object.keys(more).map((name) => [name, get(name)]));
      const done = step(body, { turn, inputIds: get("input_ids"), made, more: given });
      return body.within("choose", () => {
        const { logits } = done;
        const held = ops.unsqueeze(body, ops.less(body, turn, heldBack), [1]); // [batch, 1]
        const low = body.constant("float32", [lowest], []);
        const allowed = ops.where(body, ops.and(body, held, ends), low, logits);
        const chosen = ops.argMax(body, allowed); // [batch, 1]
        const logProb = ops.sub(
          body,
          ops.numberAt(body, logits, chosen),
          ops.logSumExp(body, logits),
        );
        const id = ops.pick(body, chosen, 1, 0); // [batch]
        const ended = ops.or(body, get("ended"), isEnd(body, id, endIds));
        return {
          goOn: ops.any(body, ops.not(body, ended)),
          carried: {
            input_ids: chosen,
            ended,
            logits,
            ...Object.fromEntries(
              done.fresh.flatMap(({ key, value }, layer) => [
                [`key.${layer}`, key],
                [`value.${layer}`, value],
              ]),
            ),
            ...done.more,
          },
          kept: { ids: id, log_probs: ops.pick(body, logProb, 1, 0) },
        };
      });
    },
  );
  const carried = (name: string): Value => {
    const value = result.carried[name];
    if (value === undefined) throw new Error(`the run carries no ${name}`);
    return value;
  };
  const { ids, log_probs: logProbs } = result.kept;
  if (ids === undefined || logProbs === undefined) throw new Error("a run keeps nothing");
  return {
    logits: carried("logits"),
    ids,
    logProbs,
    fresh: past.map((_, layer) => ({
      key: carried(`key.${layer}`),
      value: carried(`value.${layer}`),
    })),
  };
}
