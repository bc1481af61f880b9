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

const storageSchema = z.union([z.enum(["fp32", "fp16"]), blocksSchema]);
export type Storage = z.infer<typeof storageSchema>;

/**
 * Of one part: its linear layers, its embedding tables and the head that makes the scores. All else (norms,
 * biases, positions, the convolution of patches, queries) is float32: a five-hundredth of a model at most.
 */
const partStorageSchema = z.strictObject({
  matrices: storageSchema,
  tables: storageSchema,
  head: storageSchema,
});
export type PartStorage = Readonly<z.infer<typeof partStorageSchema>>;

export const precisionSchema = z.strictObject({
  /** What the recipe is called. */
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,31}$/),
  /** One word where everything in the part is stored alike. */
  parts: z.record(z.string(), z.union([z.enum(["fp32", "fp16"]), partStorageSchema])),
});
export type Precision = z.infer<typeof precisionSchema>;
