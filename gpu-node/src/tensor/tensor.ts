// Plain tensors as they pass between the rooms of the serve wing: a type, a shape, flat row-major data.
// Not the runtime's own tensors: those never leave runtime/ort.ts.

export interface FloatTensor {
  readonly type: "float32";
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

export interface IntTensor {
  readonly type: "int64";
  readonly dims: readonly number[];
  readonly data: BigInt64Array;
}

export interface HalfTensor {
  readonly type: "float16";
  readonly dims: readonly number[];
  readonly data: Float16Array;
}

export type Tensor = FloatTensor | IntTensor | HalfTensor;
/** Keys or values. */
export type CacheTensor = FloatTensor | HalfTensor;

export interface BoolTensor {
  readonly type: "bool";
  readonly dims: readonly number[];
  /** 0 or 1. */
  readonly data: Uint8Array;
}

/** What may pass between two pieces of one graph: the graphs of an artifact take and give `Tensor` only. */
export type InnerTensor = Tensor | BoolTensor;

/** Elements of a shape; 1 for a scalar. */
const elementCount = (dims: readonly number[]): number =>
  dims.reduce((count, dim) => count * dim, 1);

const checkLength = (length: number, dims: readonly number[]): void => {
  if (length !== elementCount(dims)) {
    throw new RangeError(`a tensor of shape [${dims.join(", ")}] cannot hold ${length} elements`);
  }
};

export function floatTensor(data: Float32Array, dims: readonly number[]): FloatTensor {
  checkLength(data.length, dims);
  return { type: "float32", dims, data };
}

export function halfTensor(data: Float16Array, dims: readonly number[]): HalfTensor {
  checkLength(data.length, dims);
  return { type: "float16", dims, data };
}

export function intTensor(data: BigInt64Array, dims: readonly number[]): IntTensor {
  checkLength(data.length, dims);
  return { type: "int64", dims, data };
}

/** Rows of ids, all of one length, as int64 [rows, length]. */
export const idTensor = (rows: readonly (readonly number[])[]): IntTensor =>
  intTensor(BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]?.length ?? 0]);

/** Ids, one per row, as int64 [rows]; a number alone as a scalar. */
export const idVector = (ids: readonly number[] | number): IntTensor =>
  typeof ids === "number"
    ? intTensor(BigInt64Array.of(BigInt(ids)), [])
    : intTensor(BigInt64Array.from(ids, BigInt), [ids.length]);
