// POST /v1/search: finds records of a namespace by words, by a picture or by both, and says so when there is
// none. Each hit carries the scores of every stage that looked at it.
import { z } from "zod";
import { imageInputSchema } from "./image.ts";
import { fieldNameSchema, namespaceSchema, recordFields, tagSchema } from "./images.ts";
import { textSchema } from "./text.ts";

const plainSchema = z.union([z.string().max(1000), z.number(), z.boolean()]);
const listSchema = z.array(plainSchema).min(1).max(50);
const conditionSchema = z.union(
  [
    plainSchema,
    z.strictObject({
      in: listSchema.optional(),
      not_in: listSchema.optional(),
      gt: z.number().optional(),
      gte: z.number().optional(),
      lt: z.number().optional(),
      lte: z.number().optional(),
    }),
  ],
  {
    error: "must be a text, a number, true, false or an object with in, not_in, gt, gte, lt or lte",
  },
);
export type FilterCondition = z.infer<typeof conditionSchema>;

const tagsSchema = z.array(tagSchema).min(1).max(50).optional();
const tagFilterSchema = z.strictObject({ any: tagsSchema, all: tagsSchema, none: tagsSchema });
export type TagFilter = z.infer<typeof tagFilterSchema>;
export const searchFilterSchema = z.strictObject({
  tags: tagFilterSchema.optional().describe("Those that people wrote."),
  auto_tags: tagFilterSchema.optional().describe("Those by models."),
  metadata: z
    .record(fieldNameSchema, conditionSchema)
    .refine((fields) => Object.keys(fields).length <= 8, "must have at most 8 fields")
    .optional(),
});
export type SearchFilter = z.infer<typeof searchFilterSchema>;

export const defaultTopK = 10;
export const defaultCandidates = 200;
export const defaultRerank = 10;

const searchFields = {
  namespace: namespaceSchema.optional().describe("Default `default`."),
  text: textSchema.optional(),
  top_k: z.int().min(1).max(100).optional().describe(`Hits of a page. Default ${defaultTopK}.`),
  filter: searchFilterSchema.optional(),
  candidates: z
    .int()
    .min(1)
    .max(1000)
    .optional()
    .describe(
      `Pictures that the first stage, one averaged vector each, lets through. Default ${defaultCandidates}.`,
    ),
  max_similarity: z
    .boolean()
    .optional()
    .describe("Whether candidates are compared by all their query vectors. Default true."),
  rerank: z
    .union([z.boolean(), z.int().min(1).max(50)], {
      error: "must be true, false or a number from 1 to 50",
    })
    .optional()
    .describe(
      `Whether the first ${defaultRerank} hits, or so many, are judged by image-text matching on a node. Default false.`,
    ),
  hybrid: z
    .boolean()
    .optional()
    .describe(
      "Whether words in titles, texts, tags and captions count too (reciprocal rank fusion). Default false.",
    ),
  min_score: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("Hits below are left out. Default: what the model's calibration says."),
  cursor: z.string().min(1).max(500).optional(),
} as const;

/** The part `request` of a multipart body. */
export const searchOptionsSchema = z.strictObject(searchFields);
export type SearchOptions = z.infer<typeof searchOptionsSchema>;
/** With a text, a picture or both. */
export const searchRequestSchema = z.strictObject({
  ...searchFields,
  image: imageInputSchema.optional(),
});

export const searchStages = ["mean", "max_similarity", "fusion", "itm"] as const;
export type SearchStage = (typeof searchStages)[number];

const scoresSchema = z.object({
  text_mean: z.number().optional().describe("Cosine of the text with the averaged vector."),
  itc: z.number().optional().describe("Of the text with the nearest of the query vectors."),
  image_mean: z.number().optional().describe("Cosine of the averaged vectors of two pictures."),
  image: z
    .number()
    .optional()
    .describe(
      "Mean, over the query vectors of the picture asked with, of the nearest one's cosine.",
    ),
  full_text: z
    .number()
    .optional()
    .describe("BM25: the higher, the better; comparable within one query."),
  itm: z
    .number()
    .optional()
    .describe("Probability by the matching head that the text describes it."),
});
export type SearchScores = z.infer<typeof scoresSchema>;

const searchHitSchema = z.object({
  ...recordFields,
  score: z
    .number()
    .describe(
      "0 to 1. Of a calibrated text query: the probability that it answers. Else the similarity.",
    ),
  decided_by: z.enum(searchStages).describe("The stage that put it in its place."),
  scores: scoresSchema,
});
export type SearchHit = z.infer<typeof searchHitSchema>;

export const searchResponseSchema = z.object({
  hits: z.array(searchHitSchema),
  no_match: z.boolean().describe("Nothing in the namespace reaches `min_score`."),
  cursor: z.string().optional().describe("Where the next page begins; absent on the last."),
  namespace: z.string(),
  model: z.string().nullable().describe("Null: the namespace is empty."),
  model_revision: z.string().nullable(),
  min_score: z.number(),
  calibrated: z.boolean().describe("Whether scores are probabilities, of a text query."),
  vision_passes: z.int().describe("What this search cost of a node's time with pictures."),
});
export type SearchResponse = z.infer<typeof searchResponseSchema>;
