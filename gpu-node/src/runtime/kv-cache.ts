// Keys and values of the rows of a batch, in one buffer per tensor that grows in steps. The runtime reads them
// where they lie: nothing is copied but what a run added, and what moves when a row leaves. Every row has its own
// length; what stands behind it in the buffer means nothing.
import type { CacheType } from "../artifact/precision.ts";
import { giveBack } from "../tensor/give-back.ts";
import { type CacheTensor, floatTensor, halfTensor } from "../tensor/tensor.ts";

export interface KvCache {
  readonly rows: number;
  /** Positions that each row has. */
  readonly lengths: readonly number[];
  /** Of all buffers. */
  readonly bytes: number;
  /** By the names of the cache, [rows, heads, positions, headDim]: views, valid until the next change. */
  tensors(): Readonly<Record<string, CacheTensor>>;
  /**
   * As `tensors`, for rows that have no past: one position that their lengths, 0, hide. A tensor of no positions
   * ends the process of the runtime's webgpu provider (1.30).
   */
  emptyTensors(rows: number): Readonly<Record<string, CacheTensor>>;
  /**
   * Adds rows at the end. `made` gives each name's [lengths.length, heads, at least the longest, headDim]: of
   * row i the first lengths[i] positions count.
   */
  addRows(lengths: readonly number[], made: (name: string) => CacheTensor): void;
  /** Adds the same number of positions to every row: [rows, heads, count, headDim]. */
  extend(count: number, made: (name: string) => CacheTensor): void;
  /** Keeps the given rows in the given order; one may be left out or taken twice. */
  select(rows: readonly number[]): void;
}

export interface KvShape {
  readonly names: readonly string[];
  readonly heads: number;
  readonly headDim: number;
  /** Of what is given and taken. */
  readonly type: CacheType;
}

/** As they lie in memory: halves are moved as bits, nothing is computed with them here. */
type Numbers = Float32Array | Uint16Array;

export const numberBytes = (type: CacheType): number => (type === "float32" ? 4 : 2);

const numbersOf = ({ type, data }: CacheTensor): Numbers =>
  type === "float32" ? data : new Uint16Array(data.buffer, data.byteOffset, data.length);

function tensorOf(numbers: Numbers, dims: readonly number[]): CacheTensor {
  if (numbers instanceof Float32Array) return floatTensor(numbers, dims);
  const { buffer, byteOffset, length } = numbers;
  return halfTensor(new Float16Array(buffer, byteOffset, length), dims);
}

/** Positions come in such steps: what the runtime sees takes few different shapes. */
const positionStep = 16;
/** Room for rows doubles up to here and then grows by as many: a batch of 16 holds no room for more. */
const rowStep = 8;

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

export function createKvCache({ names, heads, headDim, type }: KvShape): KvCache {
  const buffers = new Map<string, Numbers>();
  const allocate = (count: number): Numbers =>
    type === "float32" ? new Float32Array(count) : new Uint16Array(count);
  let lengths: readonly number[] = [];
  /** What the buffers are laid out for. */
  let [rowRoom, positions] = [0, 0];

  const rowSize = (): number => heads * positions * headDim;
  const bufferOf = (name: string): Numbers => buffers.get(name) ?? allocate(0);

  /** Lays the buffers out anew: `rows` says which row goes where. */
  const layOut = (rows: readonly number[], newRoom: number, newPositions: number): void => {
    const [oldSize, oldRun] = [rowSize(), positions * headDim];
    const newRun = newPositions * headDim;
    const run = Math.min(oldRun, newRun);
    for (const name of names) {
      const from = bufferOf(name);
      const to = allocate(newRoom * heads * newRun);
      rows.forEach((row, target) => {
        for (let head = 0; head < heads; head += 1) {
          const start = row * oldSize + head * oldRun;
          to.set(from.subarray(start, start + run), (target * heads + head) * newRun);
        }
      });
      buffers.set(name, to);
      giveBack(from);
    }
    [rowRoom, positions] = [newRoom, newPositions];
  };

  const identity = (): number[] => lengths.map((_, row) => row);
  const makeRoom = (rows: number, longest: number): void => {
    const newPositions = Math.max(positions, roundUp(longest, positionStep));
    const grown = Math.max(
      roundUp(rows, rows < rowStep ? 1 : rowStep),
      Math.min(2 * rowRoom, rowStep),
    );
    const newRoom = rows <= rowRoom ? rowRoom : grown;
    if (newRoom !== rowRoom || newPositions !== positions) {
      layOut(identity(), newRoom, newPositions);
    }
  };

  /** Copies the first counts[i] positions of `made`'s row i behind what row firstRow + i has. */
  const write = (
    firstRow: number,
    counts: readonly number[],
    made: (name: string) => CacheTensor,
  ): void => {
    for (const name of names) {
      const tensor = made(name);
      if (tensor.type !== type) throw new Error(`${name} is ${tensor.type}, not ${type}`);
      const [data, { dims }] = [numbersOf(tensor), tensor];
      const given = (dims[2] ?? 0) * headDim;
      const to = bufferOf(name);
      counts.forEach((count, at) => {
        const row = firstRow + at;
        const start = row * rowSize() + (lengths[row] ?? 0) * headDim;
        for (let head = 0; head < heads; head += 1) {
          const from = (at * heads + head) * given;
          to.set(data.subarray(from, from + count * headDim), start + head * positions * headDim);
        }
      });
    }
  };

  /** When every row that moves comes from behind the new end, it can be copied into its place. */
  const moveInto = (rows: readonly number[]): void => {
    const size = rowSize();
    for (const name of names) {
      const buffer = bufferOf(name);
      rows.forEach((row, target) => {
        if (row !== target) buffer.copyWithin(target * size, row * size, (row + 1) * size);
      });
    }
  };

  return {
    get rows() {
      return lengths.length;
    },
    get lengths() {
      return lengths;
    },
    get bytes() {
      return [...buffers.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    },
    tensors() {
      const dims = [lengths.length, heads, positions, headDim];
      const used = lengths.length * rowSize();
      return Object.fromEntries(
        names.map((name) => [name, tensorOf(bufferOf(name).subarray(0, used), dims)]),
      );
    },
    emptyTensors(rows) {
      const empty = tensorOf(allocate(rows * heads * headDim), [rows, heads, 1, headDim]);
      return Object.fromEntries(names.map((name) => [name, empty]));
    },
    addRows(added, made) {
      const first = lengths.length;
      makeRoom(first + added.length, Math.max(...added));
      lengths = [...lengths, ...added.map(() => 0)];
      write(first, added, made);
      lengths = [...lengths.slice(0, first), ...added];
    },
    extend(count, made) {
      makeRoom(lengths.length, Math.max(...lengths) + count);
      write(
        0,
        lengths.map(() => count),
        made,
      );
      lengths = lengths.map((length) => length + count);
    },
    select(rows) {
      const kept = rows.map((row) => {
        const length = lengths[row];
        if (length === undefined) throw new RangeError(`row ${row} of ${lengths.length}`);
        return length;
      });
      const needed = roundUp(Math.max(0, ...kept), positionStep);
      if (rows.length === 0) {
        buffers.forEach(giveBack);
        buffers.clear();
        [rowRoom, positions] = [0, 0];
      } else if (2 * needed <= positions || 4 * rows.length <= rowRoom) {
        layOut(rows, Math.max(rows.length, Math.ceil(rowRoom / 2)), needed);
      } else if (rows.every((row, target) => row === target || row >= rows.length)) {
        moveInto(rows);
      } else {
        layOut(rows, Math.max(rows.length, rowRoom), positions);
      }
      lengths = kept;
    },
  };
}
