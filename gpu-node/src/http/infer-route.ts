// POST /v1/infer: the verified body into a job, the job into the queue, the outcome into the answer.
// Everything that can be refused without the engine is refused here.
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { AppError } from "@blip2-edge/shared/problem";
import { framedType, readFrame } from "@blip2-edge/shared/wire/frame";
import {
  type CatalogModel,
  type InferRequest,
  inferRequestSchema,
  type InferResponse,
} from "@blip2-edge/shared/wire/protocol";
import type { Dispatched, Dispatcher } from "../engine/dispatcher.ts";
import type { InferJob } from "../engine/messages.ts";

export interface InferRooms {
  readonly models: () => readonly CatalogModel[];
  readonly holds: (job: Pick<InferJob, "partition" | "imageId" | "modelRevision">) => boolean;
  readonly dispatcher: Pick<Dispatcher, "infer">;
}

export interface Inferred {
  readonly response: InferResponse;
  readonly times: Pick<Dispatched, "queueMs" | "visionMs" | "prefillMs" | "decodeMs">;
}

/** `gone` aborts when the client has left. Errors: those of the table that a node may give. */
export async function infer(
  rooms: InferRooms,
  body: Uint8Array,
  contentType: string,
  gone: AbortSignal,
): Promise<Inferred> {
  const { request, pixels } = parseBody(body, contentType);
  const model = findModel(rooms.models(), request);
  const job: InferJob = {
    model: request.model,
    modelRevision: request.model_revision,
    partition: request.partition,
    imageId: request.image.image_id,
    ...(pixels === undefined ? {} : { pixels: checkPixels(pixels, request.image.size, model) }),
    texts: request.texts,
    generation: resolveGeneration(request.generation),
  };
  if (pixels === undefined && !rooms.holds(job)) {
    throw new AppError("pixels_required", "Send the request again with the image's pixels.");
  }

  const deadline = new AbortController();
  const timer = setTimeout(() => {
    deadline.abort(
      new AppError(
        "deadline_exceeded",
        `The answer was not ready within ${request.deadline_ms} ms.`,
        { retryAfterS: 1 },
      ),
    );
  }, request.deadline_ms);
  const leave = (): void => deadline.abort(new AppError("canceled", "The caller went away."));
  gone.addEventListener("abort", leave, { once: true });
  try {
    if (gone.aborted) leave();
    const outcome = await rooms.dispatcher.infer(job, deadline.signal);
    return {
      response: {
        model: request.model,
        model_revision: request.model_revision,
        image_id: request.image.image_id,
        results: [...outcome.results],
        vision_passes: outcome.visionPasses,
      },
      times: outcome,
    };
  } finally {
    clearTimeout(timer);
    gone.removeEventListener("abort", leave);
  }
}

function parseBody(body: Uint8Array, contentType: string) {
  const type = contentType.split(";")[0]?.trim().toLowerCase();
  if (type === framedType) {
    const frame = readFrame(body, contentType);
    return { request: parseRequest(frame.json), pixels: frame.pixels };
  }
  if (type !== "application/json") {
    throw new AppError(
      "unsupported_media_type",
      `Send application/json, or ${framedType} with the pixels as its second part.`,
    );
  }
  return { request: parseRequest(new TextDecoder().decode(body)), pixels: undefined };
}

function parseRequest(text: string): InferRequest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new AppError("invalid_request", "The request is not JSON.", { cause });
  }
  const parsed = inferRequestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new AppError("invalid_request", "The request does not have the protocol's form.", {
    errors: parsed.error.issues.map((issue) => ({
      field: issue.path.join("."),
      message: issue.message,
    })),
  });
}

function findModel(models: readonly CatalogModel[], request: InferRequest): CatalogModel {
  const model = models.find((each) => each.model === request.model);
  if (model === undefined) {
    throw new AppError("model_not_found", `This node does not serve the model "${request.model}".`);
  }
  if (model.model_revision !== request.model_revision) {
    throw new AppError(
      "revision_mismatch",
      `This node holds revision ${model.model_revision} of ${request.model}, not ${request.model_revision}.`,
    );
  }
  return model;
}

function checkPixels(pixels: Uint8Array, size: number, model: CatalogModel): Uint8Array {
  if (size !== model.image_size) {
    throw new AppError(
      "invalid_request",
      `${model.model} takes pixels of ${model.image_size} x ${model.image_size}, not ${size} x ${size}.`,
    );
  }
  const bytes = size * size * 3;
  if (pixels.length !== bytes) {
    throw new AppError(
      "invalid_request",
      `The pixels are ${pixels.length} bytes; ${size} x ${size} x 3 = ${bytes} are needed.`,
    );
  }
  return pixels;
}
