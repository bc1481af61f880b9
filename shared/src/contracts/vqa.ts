// POST /v1/vqa: one question or several about one picture.
import { z } from "zod";
import { modelNameSchema } from "./caption.ts";
import {
  finishReasonSchema,
  generationFields,
  moreOfAnswer,
  refuseCombinations,
  usageSchema,
} from "./generation.ts";
import { imageInputSchema, pictureOfAnswer } from "./image.ts";
import { isQuestionTemplate } from "./question-template.ts";
import { streamField } from "./stream.ts";
import { textSchema } from "./text.ts";

export const maxQuestions = 16;

const vqaFields = {
  question: textSchema.optional(),
  questions: z.array(textSchema).min(1).max(maxQuestions).optional(),
  /** `{}` stands for the question; without it the artifact's own template is used. */
  template: z
    .string()
    .max(500)
    .refine(isQuestionTemplate, "must contain {} exactly once")
    .optional(),
  model: modelNameSchema.optional(),
  stream: streamField,
  ...generationFields,
} as const;

const oneForm = (request: { question?: string | undefined; questions?: string[] | undefined }) =>
  (request.question === undefined) !== (request.questions === undefined);
const oneFormMessage = {
  error: "or `questions` must be given, and only one of them",
  path: ["question"],
};

/** The request without its picture: the part `request` of a multipart body. */
export const vqaOptionsSchema = z
  .strictObject(vqaFields)
  .refine(oneForm, oneFormMessage)
  .superRefine(refuseCombinations);
export const vqaRequestSchema = z
  .strictObject({ ...vqaFields, image: imageInputSchema })
  .refine(oneForm, oneFormMessage)
  .superRefine(refuseCombinations);
export type VqaOptions = z.infer<typeof vqaOptionsSchema>;
export type VqaRequest = z.infer<typeof vqaRequestSchema>;

export const answerSchema = z.object({
  question: z.string(),
  answer: z.string(),
  log_prob: z.number(),
  finish_reason: finishReasonSchema,
  usage: usageSchema,
  ...moreOfAnswer,
});
export type Answer = z.infer<typeof answerSchema>;

const about = {
  ...pictureOfAnswer,
  model: z.string(),
  model_revision: z.string(),
} as const;

/** `answer` for `question`, `answers` for `questions`. */
export const vqaResponseSchema = z.union([
  answerSchema.extend(about),
  z.object({ answers: z.array(answerSchema), ...about }),
]);
export type VqaResponse = z.infer<typeof vqaResponseSchema>;
