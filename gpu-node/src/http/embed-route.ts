// POST /v1/embed: the vectors of one image or of several texts.
import { AppError } from "@blip2-edge/shared/problem";
import { writeEmbedding } from "@blip2-edge/shared/wire/embedding";
import {
  type EmbedRequest,
  embedRequestSchema,
  type EmbedResponse,
} from "@blip2-edge/shared/wire/protocol";
import { imageFields, jobRoute } from "./job-route.ts";

export const embed = jobRoute<EmbedRequest, "embed", EmbedResponse>({
  schema: embedRequestSchema,
  abilities: ["embed"],
  kind: "embed",
  job({ request, pixels, fields, model }) {
    const { features } = request;
    if ("image" in request) {
      return {
        kind: "embed_image",
        ...fields,
        features,
        ...imageFields(request, pixels, model),
      };
    }
    if (pixels !== undefined) {
      throw new AppError("invalid_request", "Texts come without pixels; send application/json.");
    }
    return { kind: "embed_texts", ...fields, features, texts: request.texts };
  },
  answer: (request, { embeddings, visionPasses }) => ({
    response: {
      model: request.model,
      model_revision: request.model_revision,
      embeddings: embeddings.map(({ dims, data }) => writeEmbedding(dims, data)),
      vision_passes: visionPasses,
    },
    items: embeddings.length,
  }),
});
