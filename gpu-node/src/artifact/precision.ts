// How the numbers of a model are stored, part by part, in the words of the manifest: what the build wing
// decided, spelled out to the last block size, because results are cached under it.
import { z } from "zod";

/** Columns that share a scale. */
export const blockSizes = [16, 32, 64, 128, 256] as const;

/** Codes of 4 or 8 bits, a float32 scale for every block of a row: weight = (code - zero point) * scale. */
const blocksSchema = z.strictObject({
  bits: z.literal([4, 8]),
  block: z.literal(blockSizes),
  /** A zero point for every block; without them it is the middle of the codes. */
  zero_points: z.boolean(),
});
export type Blocks = Readonly<z.infer<typeof blocksSchema>>;

/** Columns that a rotation mixes. */
export const rotations = [16, 32, 64, 128] as const;

/**
 * Codes of 8 bits, one float32 scale a row, of a matrix whose columns were rotated: weight * R = code * scale, with R
 * a Hadamard matrix over every `rotation` columns (or the largest power of two below it that divides them). What is
 * multiplied with it is rotated too and rounded to 8 bits, a scale for every row: an outlier among its columns
 * is spread over its group first.
 */
const rowsSchema = z.strictObject({ bits: z.literal(8), rotation: z.literal(rotations) });
export type Rows = Readonly<z.infer<typeof rowsSchema>>;

/** Columns that are mixed where there are `columns` of them: a power of two, 1 for none. */
export function rotationOf(columns: number, { rotation }: Rows): number {
  let group: number = rotation;
  while (columns % group !== 0) group /= 2;
  return group;
}

const storageSchema = z.union([z.enum(["fp32", "fp16"]), blocksSchema]);
export type Storage = z.infer<typeof storageSchema>;
const matrixStorageSchema = z.union([...storageSchema.options, rowsSchema]);
export type MatrixStorage = z.infer<typeof matrixStorageSchema>;

/**
 * Of one part: its linear layers, its embedding tables and the head that makes the scores. All else (norms,
 * biases, positions, the convolution of patches, queries) is float32: a five-hundredth of a model at most.
 */
const partStorageSchema = z.strictObject({
  matrices: matrixStorageSchema,
  tables: storageSchema,
  head: storageSchema,
  /** The decoder's keys and values, where a recipe says it (`cacheTypeOf`). */
  cache: z.enum(["fp32", "fp16"]).optional(),
});
export type PartStorage = Readonly<z.infer<typeof partStorageSchema>>;

export const precisionSchema = z.strictObject({
  /** What the recipe is called. */
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,31}$/),
  /** One word where everything in the part is stored alike. */
  parts: z.record(z.string(), z.union([z.enum(["fp32", "fp16"]), partStorageSchema])),
});
export type Precision = z.infer<typeof precisionSchema>;

export type CacheType = "float32" | "float16";

/**
 * Of the decoder's keys and values: as the recipe says, else half as long as soon as its matrices are not float32, as
 * the published implementations keep them. They are rounded when they are made, so that who reads them when does not
 * matter.
 */
export function cacheTypeOf(decoder: PartStorage | "fp32" | "fp16"): CacheType {
  const { matrices, cache = matrices } =
    typeof decoder === "string" ? { matrices: decoder } : decoder;
  return cache === "fp32" ? "float32" : "float16";
}
