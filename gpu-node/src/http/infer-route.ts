// POST /v1/infer: texts generated over one image.
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { inferRequestSchema, type InferResponse } from "@blip2-edge/shared/wire/protocol";
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
export async function infer(call: JobCall): Promise<Answered<InferResponse>> {
  const { request, pixels } = readRequest(call, inferRequestSchema);
  const model = findModel(call.rooms.models(), request, ["caption", "vqa"]);
  const job = {
    kind: "generate",
    model: request.model,
    modelRevision: request.model_revision,
    ...imageFields(request, pixels, model),
    texts: request.texts,
    generation: resolveGeneration(request.generation),
  } as const;
  requireImage(call.rooms, job);
  const outcome = await runJob(call, job, "generate", request.deadline_ms);
  const { results, visionPasses } = outcome;
  return {
    response: {
      model: request.model,
      model_revision: request.model_revision,
      image_id: request.image.image_id,
      results: [...results],
      vision_passes: visionPasses,
    },
    model: request.model,
    kind: outcome.kind,
    items: results.length,
    tokens: results.reduce((sum, result) => sum + result.token_ids.length, 0),
    visionPasses,
    times: outcome,
  };
}
