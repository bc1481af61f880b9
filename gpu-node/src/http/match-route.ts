// POST /v1/match: how well texts fit one image.
import { matchRequestSchema, type MatchResponse } from "@blip2-edge/shared/wire/protocol";
import {
  type Answered,
  findModel,
  imageFields,
  type JobCall,
  readRequest,
  requireImage,
  runJob,
} from "./job-route.ts";

/** Errors: those of the table that a node may give. */
export async function match(call: JobCall): Promise<Answered<MatchResponse>> {
  const { request, pixels } = readRequest(call, matchRequestSchema);
  const model = findModel(call.rooms.models(), request, ["match"]);
  const job = {
    kind: "match",
    model: request.model,
    modelRevision: request.model_revision,
    ...imageFields(request, pixels, model),
    texts: request.texts,
    scores: request.scores,
  } as const;
  requireImage(call.rooms, job);
  const outcome = await runJob(call, job, "match", request.deadline_ms);
  const { matches, visionPasses } = outcome;
  return {
    response: {
      model: request.model,
      model_revision: request.model_revision,
      image_id: request.image.image_id,
      matches: [...matches],
      vision_passes: visionPasses,
    },
    model: request.model,
    kind: outcome.kind,
    items: matches.length,
    tokens: 0,
    visionPasses,
    times: outcome,
  };
}
