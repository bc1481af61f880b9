// The header of a safetensors file, checked to the last byte before anything is allocated for it or for
// the tensors: what it promises must fit the file exactly, with no overlap and no gap.
// Format: github.com/huggingface/safetensors, README "Format".
import { AppError } from "@blip2-edge/shared/problem";
import { findDuplicateKey } from "./duplicate-keys.ts";

/** The cap of Hugging Face's hub client; the headers of the published checkpoints are below 200 KB. */
export const maxHeaderBytes = 25_000_000;
const maxRank = 8;
const prefixBytes = 8;

const dtypeBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
} as const;
export type Dtype = keyof typeof dtypeBytes;
const isDtype = (value: unknown): value is Dtype =>
  typeof value === "string" && Object.hasOwn(dtypeBytes, value);

export interface TensorEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Path of the file that holds it. */
  readonly file: string;
  /** From the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A name as it stands in a message: quoted, control characters escaped, cut. */
export const quoteName = (name: string): string =>
  JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}...` : name);

/**
 * The length of the header that the first 8 bytes of a file announce (u64, little endian).
 * Errors: `checkpoint_invalid` when it cannot be, named by `file`.
 */
export function parseHeaderLength(prefix: Uint8Array, fileBytes: number, file: string): number {
  if (prefix.length < prefixBytes || fileBytes < prefixBytes) {
    throw new AppError(
      "checkpoint_invalid",
      `${file} is ${fileBytes} bytes: too short for a safetensors file. Download it again.`,
    );
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes) || length < 2n) {
    throw new AppError(
      "checkpoint_invalid",
      `${file} announces a header of ${length} bytes; 2 to ${maxHeaderBytes} are accepted. It is not a safetensors file, or it is damaged.`,
    );
  }
  if (Number(length) > fileBytes - prefixBytes) {
    throw new AppError(
      "checkpoint_invalid",
      `${file} announces a header of ${length} bytes but is ${fileBytes} bytes long: the file is truncated. Download it again.`,
    );
  }
  return Number(length);
}

function parseJson(header: Uint8Array, file: string): Record<string, unknown> {
  let text: string;
  let parsed: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new AppError(
      "checkpoint_invalid",
      `The header of ${file} is not JSON in UTF-8. It is not a safetensors file, or it is damaged.`,
      { cause },
    );
  }
  if (!isRecord(parsed)) {
    throw new AppError("checkpoint_invalid", `The header of ${file} is not a JSON object.`);
  }
  const twice = findDuplicateKey(text);
  if (twice !== undefined) {
    throw new AppError(
      "checkpoint_invalid",
      `The header of ${file} names ${quoteName(twice)} twice.`,
    );
  }
  return parsed;
}

function parseEntry(name: string, value: unknown, dataStart: number, file: string): TensorEntry {
  const refuse = (why: string) =>
    new AppError("checkpoint_invalid", `${file}, tensor ${quoteName(name)}: ${why}.`);
  if (!isRecord(value)) throw refuse("its header entry is not an object");
  const { dtype, shape, data_offsets: offsets, ...others } = value;
  const [other] = Object.keys(others);
  if (other !== undefined) throw refuse(`unknown field ${quoteName(other)} in its header entry`);
  if (!isDtype(dtype)) throw refuse(`unknown dtype ${quoteName(String(dtype))}`);
  if (!Array.isArray(shape) || shape.length > maxRank || !shape.every(isCount)) {
    throw refuse(`its shape is not a list of at most ${maxRank} sizes`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2) {
    throw refuse("data_offsets is not a pair of offsets");
  }
  const [begin, end]: unknown[] = offsets;
  if (!isCount(begin) || !isCount(end) || end < begin) {
    throw refuse("data_offsets is not a pair of offsets in order");
  }
  const bytes = shape.reduce((product, size) => product * size, dtypeBytes[dtype]);
  if (!Number.isSafeInteger(bytes) || bytes !== end - begin) {
    throw refuse(
      `shape [${shape.join(", ")}] of ${dtype} takes ${bytes} bytes but data_offsets spans ${end - begin}`,
    );
  }
  return { name, dtype, shape, file, offset: dataStart + begin, bytes };
}

/**
 * The tensors that `header` (the JSON alone) describes in a file of `fileBytes`.
 * Errors: `checkpoint_invalid`, naming file and tensor, for everything that does not fit exactly.
 */
export function parseHeader(header: Uint8Array, fileBytes: number, file: string): TensorEntry[] {
  const dataStart = prefixBytes + header.length;
  const { __metadata__: _, ...fields } = parseJson(header, file);
  const entries = Object.entries(fields).map(([name, value]) =>
    parseEntry(name, value, dataStart, file),
  );
  entries.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = dataStart;
  for (const entry of entries) {
    if (entry.offset !== end) {
      const fault = entry.offset < end ? "overlaps the tensor before it" : "leaves a gap before it";
      throw new AppError(
        "checkpoint_invalid",
        `${file}, tensor ${quoteName(entry.name)}: its place in the file ${fault}.`,
      );
    }
    end += entry.bytes;
  }
  if (end !== fileBytes) {
    const last = entries.at(-1)?.name ?? "";
    throw new AppError(
      "checkpoint_invalid",
      `${file} is ${fileBytes} bytes but its header describes ${end} (the last tensor is ${quoteName(last)}): ${
        end > fileBytes ? "the download was not finished. Download it again" : "it has extra data"
      }.`,
    );
  }
  return entries;
}
