// POST /v1/match: how well texts fit one image.
import {
  type MatchRequest,
  matchRequestSchema,
  type MatchResponse,
} from "@blip2-edge/shared/wire/protocol";
import { imageFields, jobRoute } from "./job-route.ts";

export const match = jobRoute<MatchRequest, "match", MatchResponse>({
  schema: matchRequestSchema,
  abilities: ["match"],
  kind: "match",
  job: ({ request, pixels, fields, model }) => ({
    kind: "match",
    ...fields,
    ...imageFields(request, pixels, model),
    texts: request.texts,
    scores: request.scores,
  }),
  answer: (request, { matches, visionPasses }) => ({
    response: {
      model: request.model,
      model_revision: request.model_revision,
      image_id: request.image.image_id,
      matches: [...matches],
      vision_passes: visionPasses,
    },
    items: matches.length,
  }),
});
