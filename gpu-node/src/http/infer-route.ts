// POST /v1/infer: texts generated over one image.
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import {
  type InferRequest,
  inferRequestSchema,
  type InferResponse,
} from "@blip2-edge/shared/wire/protocol";
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
  answer: (request, { results, visionPasses }) => ({
    response: {
      model: request.model,
      model_revision: request.model_revision,
      image_id: request.image.image_id,
      results: [...results],
      vision_passes: visionPasses,
    },
    items: results.length,
    tokens: results.reduce((sum, result) => sum + result.token_ids.length, 0),
  }),
});
