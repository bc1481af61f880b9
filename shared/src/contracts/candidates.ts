// Where the first stage of a namespace's search finds its candidates, and how far a move between the two stores is.
import { z } from "zod";

export const candidateStoreSchema = z.enum(["embedded", "vectorize"]);
export type CandidateStore = z.infer<typeof candidateStoreSchema>;

/** A part of what a namespace tells of itself. */
export const candidatesSchema = z.object({
  store: candidateStoreSchema.describe("What searches ask now."),
  moving_to: candidateStoreSchema.nullable().describe("Null: it stays where it is."),
  waiting: z
    .int()
    .describe("Pictures that Vectorize may not find yet; searches compare each of them exactly."),
  leaving: z.int().describe("Vectors that are still to be deleted from Vectorize."),
  fault: z
    .string()
    .nullable()
    .describe("Why writing to Vectorize does not go on at the moment. Nothing is lost by it."),
});
