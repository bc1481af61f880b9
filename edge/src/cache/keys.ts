// The kinds of results that are kept: what of a request decides each, and what it looks like at rest.
// All that an answer needs, nothing about who asked; the partition comes on top (cache/results.ts).
import { moreOfAnswer } from "@blip2-edge/shared/contracts/generation";
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { readEmbedding } from "@blip2-edge/shared/wire/embedding";
import {
  embeddingSchema,
  inferResultSchema,
  type Embedding,
  type FeatureName,
  type ScoreName,
} from "@blip2-edge/shared/wire/protocol";
import { z } from "zod";

/** Everything that decides a result, but the partition; and what a stored one must look like to be one. */
export interface ResultKey<Value> {
  /** The image_id of the picture; `text` where there is none. */
  readonly about: string;
  readonly modelRevision: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly schema: z.ZodType<Value>;
}

interface OfPicture {
  readonly imageId: ImageId;
  readonly modelRevision: string;
}

const generatedSchema = inferResultSchema
  .pick({ text: true, finish_reason: true, log_prob: true, usage: true, notes: true })
  .extend({ sequences: moreOfAnswer.sequences });
/** What one generation gave: no token ids. */
export type StoredGeneration = z.infer<typeof generatedSchema>;

export const generationKey = ({
  imageId,
  modelRevision,
  text,
  generation,
}: OfPicture & {
  /** As the model gets it, template applied; null for a plain caption. */
  readonly text: string | null;
  /** Generation parameters with every default filled in. */
  readonly generation: Readonly<Record<string, unknown>>;
}): ResultKey<StoredGeneration> => ({
  about: imageId,
  modelRevision,
  parameters: { text, generation },
  schema: generatedSchema,
});

const scoreSchema = z.number();

/** One score of one text; whichever route asks for it. */
export const scoreKey = ({
  imageId,
  modelRevision,
  text,
  score,
}: OfPicture & { readonly text: string; readonly score: ScoreName }): ResultKey<number> => ({
  about: imageId,
  modelRevision,
  parameters: { task: "match", score, text },
  schema: scoreSchema,
});

/** As the node gave it, float32 in base64: exact, and less than a third as long as JSON. */
const wholeEmbeddingSchema = embeddingSchema.refine(
  (embedding) => readEmbedding(embedding) !== undefined,
);

export const imageEmbeddingKey = ({
  imageId,
  modelRevision,
  features,
}: OfPicture & { readonly features: FeatureName }): ResultKey<Embedding> => ({
  about: imageId,
  modelRevision,
  parameters: { task: "embed", features },
  schema: wholeEmbeddingSchema,
});

export const textEmbeddingKey = (
  modelRevision: string,
  text: string,
  features: FeatureName,
): ResultKey<Embedding> => ({
  about: "text",
  modelRevision,
  parameters: { task: "embed", features, text },
  schema: wholeEmbeddingSchema,
});
