// The text side of a retrieval checkpoint, which stands in qformer_config, -> RetrievalTextConfig. There is no
// language model: text_config is there in every file and means nothing. Source: transformers 5.18
// configuration_blip_2.py, Blip2QFormerConfig.
import { z } from "zod";
import type { RetrievalTextConfig } from "./config.ts";
import { size, tokenId, vocabSize } from "./config-fields.ts";

/** What the text side adds to qformer_config. */
export const textSideShape = {
  vocab_size: vocabSize.default(30522),
  max_position_embeddings: size.default(512),
  pad_token_id: tokenId.nullish().transform((id) => id ?? 0),
  // The class needs it to be true; what the model needs is the tensors, and those the plan asks for.
  use_qformer_text_input: z.boolean().nullish(),
};

const textSideSchema = z.object(textSideShape);
export interface RawRetrieval {
  readonly qformer_config: z.infer<typeof textSideSchema>;
  readonly image_text_hidden_size: number;
}

/** What single fields cannot say. The image token is cut off before the embedding: it may be any id. */
export function findRetrievalFaults({ qformer_config: text }: RawRetrieval): string[] {
  if (text.pad_token_id < text.vocab_size) return [];
  return [
    `qformer_config.pad_token_id ${text.pad_token_id} is outside of qformer_config.vocab_size ${text.vocab_size}`,
  ];
}

export const retrievalText = (raw: RawRetrieval): RetrievalTextConfig => ({
  vocab: raw.qformer_config.vocab_size,
  context: raw.qformer_config.max_position_embeddings,
  dim: raw.image_text_hidden_size,
});
