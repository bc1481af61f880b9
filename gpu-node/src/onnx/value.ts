// The words of the graph builder: element types, dimensions, values. Plain data and shape arithmetic;
// nothing here knows a graph. Every value's type and shape are known when it is made.

/** ONNX TensorProto.DataType numbers and bytes per element of the types we use. */
export const elementTypes = {
  float32: { code: 1, bytes: 4 },
  uint8: { code: 2, bytes: 1 },
  int8: { code: 3, bytes: 1 },
  int32: { code: 6, bytes: 4 },
  int64: { code: 7, bytes: 8 },
  bool: { code: 9, bytes: 1 },
  float16: { code: 10, bytes: 2 },
} as const;
export type ElementType = keyof typeof elementTypes;

/** A number, or the name of a size that only the run knows ("batch", "past + tokens"). */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** One edge of a graph. Identity is the object: `name` is what the maker called it. */
export interface Value {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: Shape;
}

export const formatShape = (shape: Shape): string => `[${shape.join(", ")}]`;

export const describeValue = (value: Value): string =>
  `${value.name} ${value.type} ${formatShape(value.shape)}`;

/** The dimension at `axis`, counted from the end when negative; throws outside the shape. */
export function dimAt(shape: Shape, axis: number): Dim {
  const dim = shape.at(axis);
  if (dim === undefined) throw new Error(`no axis ${axis} in ${formatShape(shape)}`);
  return dim;
}

/** As `dimAt`, for a size that must be known now. */
export function fixedDim(shape: Shape, axis: number): number {
  const dim = dimAt(shape, axis);
  if (typeof dim !== "number")
    throw new Error(`axis ${axis} of ${formatShape(shape)} is not fixed`);
  return dim;
}

/** `a + b`: a number when both are, else a name with the fixed part last. */
export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (a === 0) return b;
  if (b === 0) return a;
  return typeof a === "number" ? `${b} + ${a}` : `${a} + ${b}`;
}

/** ONNX (numpy) broadcasting; two different names are a mistake of the caller. */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, index) => {
    const left = a[index - rank + a.length] ?? 1;
    const right = b[index - rank + b.length] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw new Error(`${formatShape(a)} and ${formatShape(b)} do not broadcast`);
  });
}
