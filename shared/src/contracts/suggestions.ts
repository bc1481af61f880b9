// /v1/suggestions: words for pictures of a CMS, waiting for review or written already.
import { z } from "zod";
import { connectionIdSchema } from "./connections.ts";
import { imageIdSchema } from "./image.ts";

export const maxSuggestionsAtOnce = 100;

const suggestionIdSchema = z
  .string()
  .regex(/^sug_[0-9a-f]{32}$/, "must be sug_ and 32 hex digits (lower case)");

/** Of what is said of a picture, much longer than alt text, which is for who does not see it. */
export const maxCaptionLength = 1000;

/** superseded: the file was replaced, or other words came first. */
export const suggestionStates = ["open", "written", "rejected", "undone", "superseded"] as const;
export type SuggestionState = (typeof suggestionStates)[number];

/** Null: the field is empty. Left out: it is not meant. */
export const wordsSchema = z.object({
  alt: z.string().nullable().optional(),
  caption: z.string().nullable().optional(),
  tags: z.array(z.string()).nullable().optional(),
});

export const listSuggestionsQuerySchema = z.strictObject({
  connection: connectionIdSchema.optional(),
  state: z.enum(suggestionStates).optional(),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, "must be the cursor of an answer")
    .optional(),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(maxSuggestionsAtOnce)
    .optional()
    .describe(`The most of one answer. Default ${maxSuggestionsAtOnce}.`),
});

export const oneSuggestionSchema = z.strictObject({ id: suggestionIdSchema });

const wordsOfPerson = {
  alt: z
    .string()
    .trim()
    .min(1)
    .max(1000)
    .optional()
    .describe("At most as long as the connection's max_length says."),
  caption: z.string().trim().min(1).max(maxCaptionLength).optional(),
  tags: z
    .array(z.string().trim().min(1).max(64))
    .max(50)
    .refine((tags) => new Set(tags).size === tags.length, "names a tag twice")
    .optional(),
} as const;

/** Words that are given are written instead of ours. */
export const acceptSuggestionSchema = z.strictObject({ id: suggestionIdSchema, ...wordsOfPerson });

/** Words that are left out stay as they are. */
export const editSuggestionSchema = z
  .strictObject({ id: suggestionIdSchema, ...wordsOfPerson })
  .refine(
    ({ alt, caption, tags }) => [alt, caption, tags].some((given) => given !== undefined),
    "gives no words: alt, caption or tags",
  );
/** Words that a person gives. */
export type GivenWords = Omit<z.infer<typeof acceptSuggestionSchema>, "id">;

export const suggestionSchema = z.object({
  id: suggestionIdSchema,
  connection: connectionIdSchema,
  delivery: z.string(),
  asset_id: z.string(),
  file_name: z.string().nullable().describe("As the CMS gave it when the picture was described."),
  version: z.string(),
  state: z.enum(suggestionStates),
  reason: z.string().nullable().describe("Why it was not written at once."),
  detail: z.string().nullable().describe("The same in a sentence."),
  before: wordsSchema.describe("What the fields held."),
  ours: wordsSchema.describe("What was written, or would be."),
  original: wordsSchema
    .nullable()
    .describe("What the model said, where a person has edited it; null: nobody has."),
  image_id: imageIdSchema,
  thumbnail_url: z
    .string()
    .optional()
    .describe("Good for a while, without a key. It leads nowhere where no thumbnail is kept."),
  model: z.string(),
  model_revision: z.string(),
  log_prob: z.number().describe("Mean log-probability of the text's tokens."),
  itm: z.number().nullable().describe("How well the text matches the picture; null: not asked."),
  created_at: z.string(),
  edited_at: z.string().nullable(),
  edited_by: z.string().nullable().describe("The id of the key."),
  decided_at: z.string().nullable(),
  decided_by: z.string().nullable(),
});
export type Suggestion = z.infer<typeof suggestionSchema>;

export const suggestionListSchema = z.object({
  suggestions: z.array(suggestionSchema).describe("The newest first."),
  /** Where the next page begins; absent on the last. */
  cursor: z.string().optional(),
});
export type SuggestionList = z.infer<typeof suggestionListSchema>;
