// POST /v1/match: how well each of several texts fits one picture.
import { z } from "zod";
import { maxMatchTexts, scoreNames } from "../wire/protocol.ts";
import { modelNameSchema } from "./caption.ts";
import { imageInputSchema, pictureOfAnswer } from "./image.ts";
import { textSchema } from "./text.ts";

const matchFields = {
  texts: z.array(textSchema).min(1).max(maxMatchTexts),
  scores: z
    .array(z.enum(scoreNames))
    .min(1)
    .max(scoreNames.length)
    .refine((scores) => new Set(scores).size === scores.length, "names a score twice")
    .optional()
    .describe("Which scores to give. ITC alone is much the cheaper. Default both."),
  model: modelNameSchema.optional(),
} as const;

/** The request without its picture: the part `request` of a multipart body. */
export const matchOptionsSchema = z.strictObject(matchFields);
export const matchRequestSchema = z.strictObject({
  ...matchFields,
  image: imageInputSchema,
});
export type MatchOptions = z.infer<typeof matchOptionsSchema>;

/** ITC as it is answered wherever it is: without a temperature. */
export const itcSchema = z
  .number()
  .describe(
    "Image-text contrastive: the cosine of the text's vector with the nearest of the picture's query vectors, -1 to 1.",
  );

const matchSchema = z.object({
  text: z.string(),
  itm: z
    .number()
    .optional()
    .describe(
      "Image-text matching: the probability, by the model's matching head, that the text describes the picture. Present when asked for.",
    ),
  itc: itcSchema.optional(),
});
export type Match = z.infer<typeof matchSchema>;

/** Read leniently, as every answer is. `matches` are in the order of `texts`. */
export const matchResponseSchema = z.object({
  matches: z.array(matchSchema),
  ...pictureOfAnswer,
  model: z.string(),
  model_revision: z.string(),
});
export type MatchResponse = z.infer<typeof matchResponseSchema>;
