// The kinds of field that config.json is made of, each with its bounds: no number that comes from a file
// reaches an allocation unchecked.
import { z } from "zod";

const maxSize = 1 << 20;
export const size = z.int().min(1).max(maxSize);
export const layers = z.int().min(1).max(512);
export const vocabSize = z
  .int()
  .min(1)
  .max(maxSize * 4);
export const tokenId = z
  .int()
  .min(0)
  .max(maxSize * 4);
export const tokenIds = z.union([tokenId, z.array(tokenId).min(1).max(16)]);
export const epsilon = z.number().positive().max(1);

/** One value that the graphs are built for, the class default too; another is named in the message. */
export const required = <T extends string | number | boolean>(value: T) =>
  z.literal(value, {
    error: ({ input }) => `is ${JSON.stringify(input)}; only ${JSON.stringify(value)} is supported`,
  });
export const only = <T extends string | number | boolean>(value: T) => required(value).nullish();

export const listOf = (ids: number | readonly number[]): readonly number[] =>
  typeof ids === "number" ? [ids] : ids;
