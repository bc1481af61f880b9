// POST /v1/embed: the vectors of one picture or of one text, as the model compares them or as they are.
import { z } from "zod";
import { featureNames } from "../wire/protocol.ts";
import { modelNameSchema } from "./caption.ts";
import { imageInputSchema, pictureOfAnswer } from "./image.ts";
import { textSchema } from "./text.ts";

const embedFields = {
  features: z
    .enum(featureNames)
    .optional()
    .describe(
      "projected: the normalised vectors that ITC compares; query: the Q-Former's raw output. Default projected.",
    ),
  model: modelNameSchema.optional(),
} as const;

/** About a picture, without it: the part `request` of a multipart body. */
export const embedOptionsSchema = z.strictObject(embedFields);
export type EmbedOptions = z.infer<typeof embedOptionsSchema>;

/** About a text, which has no picture and so is JSON alone. */
export const embedTextRequestSchema = z.strictObject({ ...embedFields, text: textSchema });
export type EmbedTextRequest = z.infer<typeof embedTextRequestSchema>;

export const embedRequestSchema = z.union([
  z.strictObject({ ...embedFields, image: imageInputSchema }),
  embedTextRequestSchema,
]);

const vectorSchema = z.array(z.number());

/** Read leniently, as every answer is. Numbers are float32, written so that they read back exactly. */
export const embedResponseSchema = z.object({
  embedding: z
    .union([z.array(vectorSchema), vectorSchema])
    .describe(
      "Of a picture [queries][dim]; of a text [dim] projected, [tokens][hidden] with features query.",
    ),
  dim: z.int().describe("Length of one vector."),
  model: z.string(),
  model_revision: z.string(),
  image_id: pictureOfAnswer.image_id.optional().describe("Of a picture."),
  image_exact: pictureOfAnswer.image_exact,
});
export type EmbedResponse = z.infer<typeof embedResponseSchema>;
