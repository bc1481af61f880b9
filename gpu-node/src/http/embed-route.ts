// POST /v1/embed: the vectors of one image or of several texts.
import { AppError } from "@blip2-edge/shared/problem";
import { writeEmbedding } from "@blip2-edge/shared/wire/embedding";
import {
  type CatalogModel,
  type EmbedRequest,
  embedRequestSchema,
  type EmbedResponse,
} from "@blip2-edge/shared/wire/protocol";
import type { EmbedImageJob, EmbedTextsJob } from "../engine/messages.ts";
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
export async function embed(call: JobCall): Promise<Answered<EmbedResponse>> {
  const { request, pixels } = readRequest(call, embedRequestSchema);
  const model = findModel(call.rooms.models(), request, ["embed"]);
  const job = jobOf(request, pixels, model);
  if (job.kind === "embed_image") requireImage(call.rooms, job);
  const outcome = await runJob(call, job, "embed", request.deadline_ms);
  const { embeddings, visionPasses } = outcome;
  return {
    response: {
      model: request.model,
      model_revision: request.model_revision,
      embeddings: embeddings.map(({ dims, data }) => writeEmbedding(dims, data)),
      vision_passes: visionPasses,
    },
    model: request.model,
    kind: outcome.kind,
    items: embeddings.length,
    tokens: 0,
    visionPasses: job.kind === "embed_image" ? visionPasses : undefined,
    times: outcome,
  };
}

function jobOf(
  request: EmbedRequest,
  pixels: Uint8Array | undefined,
  model: CatalogModel,
): EmbedImageJob | EmbedTextsJob {
  const { model: name, model_revision: modelRevision, features } = request;
  const fields = { model: name, modelRevision, features };
  if ("image" in request) {
    return { kind: "embed_image", ...fields, ...imageFields(request, pixels, model) };
  }
  if (pixels !== undefined) {
    throw new AppError("invalid_request", "Texts come without pixels; send application/json.");
  }
  return { kind: "embed_texts", ...fields, texts: request.texts };
}
