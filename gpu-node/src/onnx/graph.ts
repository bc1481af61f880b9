// One ONNX graph under construction. `node` is the only place where nodes are made: it names them by
// scope, checks that every input was made before in this graph or in a graph around it (so that the order
// of making is a topological order, and a Loop body may capture), and hands back typed values.
import type { AttributeProto, GraphProto, TensorProto, ValueInfoProto } from "./model-proto.ts";
import { describeValue, type ElementType, elementTypes, type Shape, type Value } from "./value.ts";

/** A tensor whose bytes stand in an external file; `placement` says where once that is known. */
export interface ExternalTensor {
  /** The initializer's name; two uses of one name in a graph are one initializer. */
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  /** Another tensor whose bytes these are, in other dimensions. */
  readonly bytesOf?: string;
}
export interface Placement {
  /** File beside the .onnx file. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

export type Attribute =
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "ints"; readonly value: readonly number[] }
  | { readonly kind: "graph"; readonly value: Graph };
/** A number is an int attribute; write `{ kind: "float", value }` for a float. */
export type AttributeInput = number | string | readonly number[] | Attribute;

export interface NodeSpec {
  readonly op: string;
  /** Optional inputs that are left out are undefined. */
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly { readonly type: ElementType; readonly shape: Shape }[];
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  /** Empty for the ONNX standard, "com.microsoft" for the runtime's own. */
  readonly domain?: string;
}

export interface Graph {
  readonly name: string;
  input(name: string, type: ElementType, shape: Shape): Value;
  /** Makes `value` an output called `name`. */
  output(name: string, value: Value): void;
  node(spec: NodeSpec): readonly Value[];
  /** A small tensor inside the model file, named by its value and made once. */
  constant(
    type: "int64" | "float32",
    values: readonly number[],
    dims?: readonly number[],
    /** Stands for the values in the name where they are many; one word, one tensor. */
    word?: string,
  ): Value;
  /** A weight in an external file. */
  external(tensor: ExternalTensor): Value;
  /** Nodes made by `make` stand under `name` in the names of this graph. */
  within<T>(name: string, make: () => T): T;
  /** A graph whose nodes may also use this one's values: the body of a Loop or If. */
  subgraph(name: string): Graph;
  owns(value: Value): boolean;
  /** What `value` is called in the file. */
  nameOf(value: Value): string;
  readonly externals: ReadonlyMap<string, ExternalTensor>;
  /** Domains other than the standard one that nodes use, subgraphs included. */
  readonly domains: ReadonlySet<string>;
  toProto(place: (tensor: ExternalTensor) => Placement): GraphProto;
}

function attributeProto(
  name: string,
  input: AttributeInput,
  place: (tensor: ExternalTensor) => Placement,
): AttributeProto {
  const attribute: Attribute =
    typeof input === "number"
      ? { kind: "int", value: input }
      : typeof input === "string"
        ? { kind: "string", value: input }
        : "kind" in input
          ? input
          : { kind: "ints", value: input };
  switch (attribute.kind) {
    case "float":
      return { name, type: 1, f: attribute.value };
    case "int":
      return { name, type: 2, i: BigInt(attribute.value) };
    case "string":
      return { name, type: 3, s: new TextEncoder().encode(attribute.value) };
    case "graph":
      return { name, type: 5, g: attribute.value.toProto(place) };
    case "ints":
      return { name, type: 7, ints: attribute.value.map(BigInt) };
  }
}

function valueInfo(name: string, value: Value): ValueInfoProto {
  const dim = value.shape.map((size) =>
    typeof size === "number" ? { dimValue: BigInt(size) } : { dimParam: size },
  );
  return {
    name,
    type: { tensorType: { elemType: elementTypes[value.type].code, shape: { dim } } },
  };
}

function constantBytes(type: "int64" | "float32", values: readonly number[]): Uint8Array {
  const typed = type === "int64" ? BigInt64Array.from(values, BigInt) : Float32Array.from(values);
  return new Uint8Array(typed.buffer);
}

function externalProto(tensor: ExternalTensor, placement: Placement): TensorProto {
  const entries = {
    location: placement.file,
    offset: String(placement.offset),
    length: String(placement.bytes),
  };
  return {
    name: tensor.name,
    dims: tensor.dims.map(BigInt),
    dataType: elementTypes[tensor.type].code,
    dataLocation: 1,
    externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
  };
}

/** An empty graph; `parent` is the graph around it, for the body of a Loop or If. */
export function createGraph(graphName: string, parent?: Graph): Graph {
  const inputs: Value[] = [];
  const outputs: { name: string; value: Value }[] = [];
  const nodes: { name: string; spec: NodeSpec; outputs: readonly Value[] }[] = [];
  const constants: TensorProto[] = [];
  const initializers = new Map<string, Value>();
  const externals = new Map<string, ExternalTensor>();
  const subgraphs: Graph[] = [];
  const owned = new Set<Value>();
  const names = new Set<string>();
  const ownDomains = new Set<string>();
  /** The output a value is first given as; its node then writes under that name. */
  const published = new Map<Value, string>();
  let scope = parent === undefined ? "" : `/${graphName}`;

  const own = (value: Value): Value => {
    if (names.has(value.name)) throw new Error(`graph ${graphName}: ${value.name} exists already`);
    names.add(value.name);
    owned.add(value);
    return value;
  };
  const owns = (value: Value): boolean => owned.has(value) || (parent?.owns(value) ?? false);
  const nameOf = (value: Value): string =>
    owned.has(value) || parent === undefined
      ? (published.get(value) ?? value.name)
      : parent.nameOf(value);

  const graph: Graph = {
    name: graphName,
    externals,
    get domains() {
      return new Set([...ownDomains, ...subgraphs.flatMap((inner) => [...inner.domains])]);
    },
    owns,
    nameOf,
    input(name, type, shape) {
      const value = own({ name, type, shape });
      inputs.push(value);
      return value;
    },
    output(name, value) {
      const fresh = owned.has(value) && !published.has(value) && !inputs.includes(value);
      const made = fresh && !initializers.has(value.name);
      const result = made
        ? value
        : graph.node({ op: "Identity", inputs: [value], outputs: [value] })[0];
      if (result === undefined || names.has(name)) {
        throw new Error(`graph ${graphName}: ${name} exists already`);
      }
      names.add(name);
      published.set(result, name);
      outputs.push({ name, value: result });
    },
    node(spec) {
      for (const input of spec.inputs) {
        if (input !== undefined && !owns(input)) {
          throw new Error(
            `graph ${graphName}: ${spec.op} uses ${describeValue(input)} of another graph`,
          );
        }
      }
      const base = `${scope}/${spec.op}`;
      let name = base;
      for (let count = 1; names.has(name); count += 1) name = `${base}_${count}`;
      names.add(name);
      if (spec.domain !== undefined && spec.domain !== "") ownDomains.add(spec.domain);
      const made = spec.outputs.map(({ type, shape }, index) =>
        own({ name: `${name}/output_${index}`, type, shape }),
      );
      nodes.push({ name, spec, outputs: made });
      return made;
    },
    constant(type, values, dims = [values.length], word = `[${values.join(", ")}]`) {
      if (parent !== undefined) return parent.constant(type, values, dims, word);
      const name = `/constants/${type}/${dims.join("x")}/${word}`;
      const known = initializers.get(name);
      if (known !== undefined) return known;
      const value = own({ name, type, shape: dims });
      initializers.set(name, value);
      constants.push({
        name,
        dims: dims.map(BigInt),
        dataType: elementTypes[type].code,
        rawData: constantBytes(type, values),
      });
      return value;
    },
    external(tensor) {
      if (parent !== undefined) return parent.external(tensor);
      const known = initializers.get(tensor.name);
      if (known !== undefined) return known;
      const value = own({ name: tensor.name, type: tensor.type, shape: tensor.dims });
      initializers.set(tensor.name, value);
      externals.set(tensor.name, tensor);
      return value;
    },
    within(name, make) {
      const outer = scope;
      scope = `${outer}/${name}`;
      try {
        return make();
      } finally {
        scope = outer;
      }
    },
    subgraph(name) {
      const inner = createGraph(name, graph);
      subgraphs.push(inner);
      return inner;
    },
    toProto(place) {
      return {
        name: graphName,
        input: inputs.map((value) => valueInfo(value.name, value)),
        output: outputs.map(({ name, value }) => valueInfo(name, value)),
        initializer: [
          ...constants,
          ...[...externals.values()].map((tensor) => externalProto(tensor, place(tensor))),
        ],
        node: nodes.map(({ name, spec, outputs: made }) => ({
          name,
          opType: spec.op,
          input: spec.inputs.map((value) => (value === undefined ? "" : nameOf(value))),
          output: made.map(nameOf),
          attribute: Object.entries(spec.attributes ?? {}).map(([key, value]) =>
            attributeProto(key, value, place),
          ),
          ...(spec.domain === undefined ? {} : { domain: spec.domain }),
        })),
      };
    },
  };
  return graph;
}
