// Where each external tensor stands in its data file. Pure arithmetic: the same tensors in the same order
// give the same file. Tensors start on page borders where that pays, so that the runtime can map the file.
import { elementTypes } from "./value.ts";
import type { ExternalTensor, Placement } from "./graph.ts";

/** Every tensor starts at a multiple of this. */
const tensorAlignment = 64;
/** Tensors of at least `pagedBytes` start on a page, for the memory map. */
const pageAlignment = 4096;
const pagedBytes = 16 * 1024;

export const externalBytes = (tensor: ExternalTensor): number =>
  tensor.dims.reduce((product, dim) => product * dim, elementTypes[tensor.type].bytes);

const alignUp = (offset: number, alignment: number): number =>
  Math.ceil(offset / alignment) * alignment;

export interface DataLayout {
  readonly file: string;
  readonly bytes: number;
  /** By the tensor's name, in the order of the file. */
  readonly placements: ReadonlyMap<string, Placement>;
}

/** Places `tensors` one after another in `file`. */
export function layOutData(file: string, tensors: Iterable<ExternalTensor>): DataLayout {
  let end = 0;
  const placements = new Map<string, Placement>();
  for (const tensor of tensors) {
    const bytes = externalBytes(tensor);
    const offset = alignUp(end, bytes >= pagedBytes ? pageAlignment : tensorAlignment);
    placements.set(tensor.name, { file, offset, bytes });
    end = offset + bytes;
  }
  return { file, bytes: end, placements };
}
