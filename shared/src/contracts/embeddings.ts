// POST /v1/embeddings in OpenAI's shape: the projected vectors of texts. A picture has a matrix, for which
// this shape has no place: POST /v1/embed gives it.
import { z } from "zod";
import { maxMatchTexts } from "../wire/protocol.ts";
import { modelNameSchema } from "./caption.ts";
import { harmlessFields } from "./openai.ts";
import { textSchema } from "./text.ts";

export const embeddingsRequestSchema = z.strictObject({
  model: modelNameSchema.optional(),
  input: z.union([textSchema, z.array(textSchema).min(1).max(maxMatchTexts)], {
    error: `must be a text or a list of 1 to ${maxMatchTexts} texts, none of them empty (token ids are not taken; POST /v1/embed takes a picture)`,
  }),
  encoding_format: z
    .enum(["float", "base64"])
    .nullish()
    .describe("base64 is float32, little endian. Default float."),
  dimensions: z.int().min(1).nullish().describe("No other number than the model's own."),
  ...harmlessFields,
});
export type EmbeddingsRequest = z.infer<typeof embeddingsRequestSchema>;

export const embeddingsResponseSchema = z.object({
  object: z.literal("list"),
  data: z.array(
    z.object({
      object: z.literal("embedding"),
      index: z.int(),
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  model: z.string(),
  usage: z
    .object({ prompt_tokens: z.int(), total_tokens: z.int() })
    .describe("Always 0: tokens of texts are not counted, inferences are (GET /v1/usage)."),
});
export type EmbeddingsResponse = z.infer<typeof embeddingsResponseSchema>;
