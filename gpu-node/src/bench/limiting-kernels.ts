// How a matrix is stored decides which kernel multiplies with it, and its width which kernels bound that: a stage
// is held against the best of the runtime's kernels for the width, whichever the model's own is.
import { blockSizes } from "../artifact/precision.ts";
import { blockKernel, type KernelName } from "./kernels.ts";

/** What a graph says of one product with a weight. */
export interface StoredForm {
  readonly op: string;
  readonly half: boolean;
  /** Of MatMulNBits. */
  readonly bits?: number | undefined;
  readonly block?: number | undefined;
}

const ofWholeNumbers: Readonly<Record<string, KernelName>> = {
  DynamicQuantizeMatMul: "8-bit DynamicQuantizeMatMul",
  MatMulIntegerToFloat: "8-bit MatMulIntegerToFloat",
  QGemm: "8-bit QGemm",
};

/** Undefined for an operator that is no product of two matrices. */
export function ownKernel({ op, half, bits, block }: StoredForm): KernelName | undefined {
  if (op === "MatMul" || op === "Gemm" || op === "Conv") {
    return half ? "fp16 MatMul" : "fp32 MatMul";
  }
  if (op !== "MatMulNBits")
    return Object.hasOwn(ofWholeNumbers, op) ? ofWholeNumbers[op] : undefined;
  const known = blockSizes.find((size) => size === block);
  return known === undefined ? undefined : blockKernel(bits === 4 ? 4 : 8, known);
}

/** Measured on every machine, so that reports can be compared; a model's own are added. */
export const standardKernels: readonly KernelName[] = [
  "fp32 MatMul",
  "8-bit MatMulNBits, block 128",
  "4-bit MatMulNBits, block 128",
  "8-bit DynamicQuantizeMatMul",
  "8-bit MatMulIntegerToFloat",
  "8-bit QGemm",
];
