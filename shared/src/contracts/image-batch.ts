// POST /v1/namespaces/{namespace}/images/batch: several pictures put at once, each answered by its record or its
// problem. What is wrong with the request is found before anything is done; what is wrong with a picture is its own.
import { z } from "zod";
import { imageInputSchema } from "./image.ts";
import {
  imagePutOptionsSchema,
  imageRecordSchema,
  namespaceSchema,
  recordIdSchema,
} from "./images.ts";
import { problemSchema } from "./problem.ts";

export const maxBatchImages = 32;

const entryFields = { id: recordIdSchema, ...imagePutOptionsSchema.shape } as const;

function distinctIds(images: readonly { readonly id: string }[], context: z.RefinementCtx): void {
  const seen = new Set<string>();
  for (const [index, { id }] of images.entries()) {
    if (seen.has(id)) {
      const path = [index, "id"];
      context.addIssue({ code: "custom", path, message: "is the id of an earlier image" });
    }
    seen.add(id);
  }
}

export const imageBatchRequestSchema = z.strictObject({
  namespace: namespaceSchema,
  images: z
    .array(z.strictObject({ ...entryFields, image: imageInputSchema }))
    .min(1)
    .max(maxBatchImages)
    .superRefine(distinctIds),
});

/** The part `request` of a multipart body: images that name no picture take the files, in their order. */
export const imageBatchOptionsSchema = z.strictObject({
  namespace: namespaceSchema,
  images: z
    .array(z.strictObject({ ...entryFields, image: imageInputSchema.optional() }))
    .min(1)
    .max(maxBatchImages)
    .superRefine(distinctIds),
});
export type ImageBatchOptions = z.infer<typeof imageBatchOptionsSchema>;

const resultSchema = z.object({
  id: z.string(),
  record: imageRecordSchema.optional(),
  problem: problemSchema.optional().describe("Why there is no record."),
});
export type ImageBatchResult = z.infer<typeof resultSchema>;

export const imageBatchResponseSchema = z.object({
  results: z
    .array(resultSchema)
    .describe("In the order of the request, each with its record or its problem."),
  succeeded: z.int(),
  failed: z.int(),
});
export type ImageBatchResponse = z.infer<typeof imageBatchResponseSchema>;
