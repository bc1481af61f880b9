// POST /v1/infer: texts generated over one image.
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import {
  type InferRequest,
  inferRequestSchema,
  type InferResponse,
} from "@blip2-edge/shared/wire/protocol";
import { generationFacts } from "./generation-facts.ts";
import { imageFields, jobRoute } from "./job-route.ts";

export const infer = jobRoute<InferRequest, "generate", InferResponse>({
  schema: inferRequestSchema,
  abilities: ["caption", "vqa"],
  kind: "generate",
  job: ({ request, pixels, fields, model }) => ({
    kind: "generate",
    ...fields,
    ...imageFields(request, pixels, model),
    texts: request.texts,
    generation: resolveGeneration(request.generation),
    stream: request.stream ?? false,
  }),
  answer: (request, outcome) => ({
    response: {
      model: request.model,
      model_revision: request.model_revision,
      image_id: request.image.image_id,
      results: [...outcome.results],
      vision_passes: outcome.visionPasses,
    },
    items: outcome.results.length,
    tokens: outcome.results.reduce((sum, result) => sum + result.token_ids.length, 0),
    generation: generationFacts(outcome),
  }),
});
