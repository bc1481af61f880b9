// What a person who reviews suggestions is told besides them: how much waits of each connection, and what the CMS holds
// now. Nothing of a connection's settings.
import { z } from "zod";
import { connectionIdSchema, connectionKinds, words } from "./connections.ts";
import { wordsSchema } from "./suggestions.ts";

/** More than that nobody counts. */
export const maxCounted = 1000;

export const reviewSummarySchema = z.object({
  connections: z
    .array(
      z.object({
        id: connectionIdSchema,
        name: z.string(),
        kind: z.enum(connectionKinds),
        open: z.int().describe(`Suggestions that wait for review, ${maxCounted} at most.`),
      }),
    )
    .describe("By name, the first hundred of the tenant's."),
});
export type ReviewSummary = z.infer<typeof reviewSummarySchema>;

export const currentWordsSchema = z.object({
  asset: z
    .enum(["there", "replaced", "gone"])
    .describe("replaced: the file is another one by now, and the suggestion is not about it."),
  words: wordsSchema.describe("What the fields hold now."),
  writable: z
    .array(z.enum(words))
    .describe(
      "Those of the suggestion's words that would be written: of the others somebody wrote words of his own.",
    ),
});
export type CurrentWords = z.infer<typeof currentWordsSchema>;
