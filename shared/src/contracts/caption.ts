// POST /v1/caption and GET /v1/caption: what goes in and what comes out.
import { z } from "zod";
import { defaultAltLength } from "../alt-text.ts";
import {
  finishReasonSchema,
  generationFields,
  moreOfAnswer,
  refuseCombinations,
  usageSchema,
} from "./generation.ts";
import { imageInputSchema, imageUrlSchema, pictureOfAnswer } from "./image.ts";
import { streamField } from "./stream.ts";
import { maxTextCharacters } from "./text.ts";

export const modelNameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,63}(@[a-z0-9-]{1,32})?$/,
    "must be the name of a model, such as blip2-opt-2.7b",
  );

export const captionStyles = ["alt"] as const;
export type CaptionStyle = (typeof captionStyles)[number];

const captionFields = {
  prompt: z.string().min(1).max(maxTextCharacters).optional(),
  model: modelNameSchema.optional(),
  style: z
    .enum(captionStyles)
    .optional()
    .describe(
      `alt: fit for a page's alt text: no "image of", no repeated phrase, sentence case, at most ${defaultAltLength} characters.`,
    ),
  ...generationFields,
} as const;

/** A style is a matter of the whole text. */
const refuseStyledStream = (
  {
    style,
    stream,
  }: { readonly style?: CaptionStyle | undefined; readonly stream?: boolean | undefined },
  context: {
    readonly addIssue: (issue: { code: "custom"; path: string[]; message: string }) => void;
  },
): void => {
  if (style === undefined || stream !== true) return;
  const message = "is decided once the whole text is there, so it cannot be streamed";
  context.addIssue({ code: "custom", path: ["style"], message });
};

/** The request without its picture: the part `request` of a multipart body. */
export const captionOptionsSchema = z
  .strictObject({ ...captionFields, stream: streamField })
  .superRefine(refuseCombinations)
  .superRefine(refuseStyledStream);
export const captionRequestSchema = z
  .strictObject({ ...captionFields, stream: streamField, image: imageInputSchema })
  .superRefine(refuseCombinations)
  .superRefine(refuseStyledStream);
export type CaptionOptions = z.infer<typeof captionOptionsSchema>;
export type CaptionRequest = z.infer<typeof captionRequestSchema>;

/** All arrives as text in a query; what is neither a plain number nor a truth is left to be refused. */
function asPlain(value: unknown): unknown {
  if (value === "true" || value === "false") return value === "true";
  return typeof value === "string" && /^-?\d{1,15}(\.\d{1,15})?$/.test(value)
    ? Number(value)
    : value;
}

/** GET /v1/caption: the fields as a query, the picture by its URL. */
export const captionQuerySchema = z
  .strictObject({
    url: imageUrlSchema,
    prompt: captionFields.prompt,
    model: captionFields.model,
    style: captionFields.style,
    max_new_tokens: z.preprocess(asPlain, generationFields.max_new_tokens),
    min_new_tokens: z.preprocess(asPlain, generationFields.min_new_tokens),
    max_length: z.preprocess(asPlain, generationFields.max_length),
    min_length: z.preprocess(asPlain, generationFields.min_length),
    num_beams: z.preprocess(asPlain, generationFields.num_beams),
    length_penalty: z.preprocess(asPlain, generationFields.length_penalty),
    early_stopping: z.preprocess(asPlain, generationFields.early_stopping),
    repetition_penalty: z.preprocess(asPlain, generationFields.repetition_penalty),
    no_repeat_ngram_size: z.preprocess(asPlain, generationFields.no_repeat_ngram_size),
    do_sample: z.preprocess(asPlain, generationFields.do_sample),
    temperature: z.preprocess(asPlain, generationFields.temperature),
    top_k: z.preprocess(asPlain, generationFields.top_k),
    top_p: z.preprocess(asPlain, generationFields.top_p),
    num_return_sequences: z.preprocess(asPlain, generationFields.num_return_sequences),
    seed: z.preprocess(asPlain, generationFields.seed),
    signed: z
      .string()
      .max(600)
      .optional()
      .describe(
        "What POST /v1/caption/links added: then no key is needed, and nothing may differ.",
      ),
  })
  .superRefine(refuseCombinations);
export type CaptionQuery = z.infer<typeof captionQuerySchema>;

export const defaultLinkS = 86_400;
const maxLinkS = 30 * 86_400;

/** POST /v1/caption/links: the same fields, to be asked without a key for a while. */
export const captionLinkRequestSchema = z
  .strictObject({
    url: imageUrlSchema,
    ...captionFields,
    expires_in_s: z
      .int()
      .min(60)
      .max(maxLinkS)
      .optional()
      .describe(`How long it is good. Default ${defaultLinkS}.`),
  })
  .superRefine(refuseCombinations)
  .refine(({ do_sample: draws, seed }) => draws !== true || seed !== undefined, {
    error: "is needed with do_sample: without it every request would be another inference",
    path: ["seed"],
  });

export const captionLinkSchema = z.object({
  url: z.string().describe("Of GET /v1/caption; whoever has it may ask it."),
  expires_at: z.string(),
});
export type CaptionLink = z.infer<typeof captionLinkSchema>;

/** Read leniently, as every answer is: a later Worker may say more. */
export const captionResponseSchema = z.object({
  text: z.string(),
  ...pictureOfAnswer,
  model: z.string(),
  model_revision: z.string(),
  /** Mean log-probability per generated token, end token included (natural logarithm). */
  log_prob: z.number(),
  finish_reason: finishReasonSchema,
  usage: usageSchema,
  ...moreOfAnswer,
});
export type CaptionResponse = z.infer<typeof captionResponseSchema>;
