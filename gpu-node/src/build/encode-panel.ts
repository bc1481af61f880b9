// A panel of float32 rows -> the bytes that are written of it, one piece for every initializer that the tensor
// becomes. The pieces are views of buffers that the next panel overwrites.
import { AppError } from "@blip2-edge/shared/problem";
import { quoteName } from "../checkpoint/safetensors-header.ts";
import { type BlockCodes, blockShape, quantizeBlocks } from "../quantize/quantize-blocks.ts";
import { quantizeRows } from "../quantize/quantize-rows.ts";
import { maxHalf, toFloat16 } from "../quantize/to-float16.ts";
import type { WeightTensor } from "./tensor-plan.ts";
import { transposePanel } from "./transpose.ts";

type Encode = (
  tensor: WeightTensor,
  values: Float32Array,
  rows: number,
  columns: number,
) => readonly Uint8Array[];

const asBytes = (values: Float32Array | Uint16Array | Uint8Array | Int8Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** An array that is made when it is first needed, or too short. */
function buffer<T>(make: (length: number) => T & { readonly length: number }) {
  let made: (T & { readonly length: number }) | undefined;
  return (length: number) => {
    if (made === undefined || made.length < length) made = make(length);
    return made;
  };
}

/** `capacity`: numbers in a panel at most. Errors: `checkpoint_invalid` for what no half can hold. */
export function createEncoder(capacity: number): Encode {
  const turned = buffer(() => new Float32Array(capacity));
  const halves = buffer(() => new Uint16Array(capacity));
  const turnedHalves = buffer(() => new Uint16Array(capacity));
  const codes = buffer((length) => new Uint8Array(length));
  const scales = buffer((length) => new Float32Array(length));
  const zeroPoints = buffer((length) => new Uint8Array(length));

  const toHalves = ({ source }: WeightTensor, values: Float32Array): Uint16Array => {
    const target = halves(capacity).subarray(0, values.length);
    const overflows = toFloat16(values, target);
    if (overflows === 0) return target;
    throw new AppError(
      "checkpoint_invalid",
      `Tensor ${quoteName(source.name)} holds numbers beyond ${maxHalf}, the largest in half precision (${overflows} in one stretch of ${values.length}). Build its part with fp32, int8 or int4.`,
    );
  };

  return (tensor, values, rows, columns) => {
    const { form } = tensor;
    if (form.kind === "blocks") {
      const { blocks, blockBytes, zeroPointBytes } = blockShape(columns, form);
      const target: BlockCodes = {
        codes: codes(rows * blocks * blockBytes).subarray(0, rows * blocks * blockBytes),
        scales: scales(rows * blocks).subarray(0, rows * blocks),
        zeroPoints: zeroPoints(rows * zeroPointBytes).subarray(0, rows * zeroPointBytes),
      };
      quantizeBlocks(values, columns, form, target);
      const pieces = [target.codes, target.scales, target.zeroPoints].map(asBytes);
      return form.zero_points ? pieces : pieces.slice(0, 2);
    }
    if (form.kind === "rows") {
      const target = {
        codes: new Int8Array(codes(rows * columns).buffer, 0, rows * columns),
        scales: scales(rows).subarray(0, rows),
      };
      quantizeRows(values, columns, form.rotation, target);
      return [asBytes(target.codes), asBytes(target.scales)];
    }
    if (form.type === "float32") {
      if (!form.transposed) return [asBytes(values)];
      const target = turned(capacity).subarray(0, values.length);
      transposePanel(values, target, rows, columns);
      return [asBytes(target)];
    }
    const half = toHalves(tensor, values);
    if (!form.transposed) return [asBytes(half)];
    const target = turnedHalves(capacity).subarray(0, half.length);
    transposePanel(half, target, rows, columns);
    return [asBytes(target)];
  };
}
