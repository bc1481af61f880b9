// POST /v1/classify: which of the caller's own labels fits one picture best (zero-shot, as CLIP does it).
import { z } from "zod";
import { maxMatchTexts } from "../wire/protocol.ts";
import { modelNameSchema } from "./caption.ts";
import { imageInputSchema, pictureOfAnswer } from "./image.ts";
import { itcSchema } from "./match.ts";
import { isQuestionTemplate } from "./question-template.ts";
import { textSchema } from "./text.ts";

export const defaultLabelTemplate = "a {}";

/**
 * By which ITC cosines are divided before the softmax: the initial value of LAVIS's learned temperature
 * (`Blip2Qformer.temp`). Checkpoints in Hugging Face's layout do not hold what it became
 * (docs/decisions/0046).
 */
export const classifyTemperature = 0.07;

const classifyFields = {
  labels: z
    .array(textSchema)
    .min(1)
    .max(maxMatchTexts)
    .refine((labels) => new Set(labels).size === labels.length, "names a label twice"),
  template: z
    .string()
    .max(500)
    .refine(isQuestionTemplate, "must contain {} exactly once")
    .optional()
    .describe('The text that the model reads, `{}` standing for the label. Default "a {}".'),
  model: modelNameSchema.optional(),
} as const;

/** The request without its picture: the part `request` of a multipart body. */
export const classifyOptionsSchema = z.strictObject(classifyFields);
export const classifyRequestSchema = z.strictObject({
  ...classifyFields,
  image: imageInputSchema,
});
export type ClassifyOptions = z.infer<typeof classifyOptionsSchema>;

/** Read leniently, as every answer is. `labels` are sorted, the best first. */
export const classifyResponseSchema = z.object({
  labels: z.array(
    z.object({
      label: z.string(),
      score: z
        .number()
        .describe(
          "Softmax over the labels' ITC cosines divided by 0.07, as CLIP does it; all labels together sum to 1. 0.07 is the initial value of LAVIS's learned temperature, which checkpoints in Hugging Face's layout do not hold: the score ranks the labels given and is no calibrated probability.",
        ),
      itc: itcSchema,
    }),
  ),
  ...pictureOfAnswer,
  model: z.string(),
  model_revision: z.string(),
});
export type ClassifyResponse = z.infer<typeof classifyResponseSchema>;
