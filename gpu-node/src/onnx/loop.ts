// The ONNX Loop: a graph that is taken several times, what one turn makes carried to the next.
// Source of the semantics: onnx/docs/Operators.md at opset 21.
import type { Graph } from "./graph.ts";
import type { Shape, Value } from "./value.ts";

/** What one turn of a loop makes. */
export interface Turn {
  /** A bool scalar: whether another turn follows. */
  readonly goOn: Value;
  /** By the names of what is carried: what the next turn is given. */
  readonly carried: Readonly<Record<string, Value>>;
  /** What every turn leaves behind. */
  readonly kept: Readonly<Record<string, Value>>;
}

/**
 * Takes `turns` (int64 scalar, at least one) turns at most. `carried` names what the first one is given; a
 * size that changes from turn to turn is named in `shapes`. Gives what the last turn carried, and of what was
 * kept one slice per turn, "turns" of them. `make` may use every value of `graph`.
 */
export function loop(
  graph: Graph,
  name: string,
  turns: Value,
  carried: Readonly<Record<string, Value>>,
  shapes: Readonly<Record<string, Shape>>,
  make: (body: Graph, turn: Value, carried: Readonly<Record<string, Value>>) => Turn,
): {
  readonly carried: Readonly<Record<string, Value>>;
  readonly kept: Readonly<Record<string, Value>>;
} {
  const body = graph.subgraph(name);
  const turn = body.input(`${name}.turn`, "int64", []);
  body.input(`${name}.go_on`, "bool", []);
  const names = Object.keys(carried);
  const given = Object.entries(carried).map(([each, { type, shape }]): [string, Value] => [
    each,
    body.input(`${name}.${each}`, type, shapes[each] ?? shape),
  ]);
  const made = make(body, turn, Object.fromEntries(given));
  body.output(`${name}.next.go_on`, made.goOn);
  const next = names.map((each) => {
    const value = made.carried[each];
    if (value === undefined) throw new Error(`the loop ${name} does not carry ${each} on`);
    body.output(`${name}.next.${each}`, value);
    return value;
  });
  const kept = Object.entries(made.kept);
  for (const [each, value] of kept) body.output(`${name}.kept.${each}`, value);
  const results = graph.node({
    op: "Loop",
    inputs: [turns, undefined, ...Object.values(carried)],
    outputs: [
      ...next.map(({ type }, at) => ({
        type,
        shape: shapes[names[at] ?? ""] ?? carried[names[at] ?? ""]?.shape ?? [],
      })),
      ...kept.map(([, { type, shape }]) => ({ type, shape: ["turns", ...shape] })),
    ],
    attributes: { body: { kind: "graph", value: body } },
  });
  const nameResults = (some: readonly string[], from: number): Record<string, Value> =>
    Object.fromEntries(
      some.flatMap((each, at): [string, Value][] => {
        const result = results[from + at];
        return result === undefined ? [] : [[each, result]];
      }),
    );
  return {
    carried: nameResults(names, 0),
    kept: nameResults(
      kept.map(([each]) => each),
      names.length,
    ),
  };
}
