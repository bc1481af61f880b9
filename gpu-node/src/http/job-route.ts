// What the routes that give work to the engine share: the verified body read, the model found, the image
// checked, the job put into the queue with its deadline. Everything that can be refused without the engine is
// refused here, in one order for all.
import { AppError } from "@blip2-edge/shared/problem";
import { framedType, readFrame } from "@blip2-edge/shared/wire/frame";
import type { Ability, CatalogModel, InferRequest } from "@blip2-edge/shared/wire/protocol";
import type { z } from "zod";
import type { Dispatched, Dispatcher } from "../engine/dispatcher.ts";
import type { ImageFields, ImageJob, Job, JobFields, Outcome } from "../engine/messages.ts";
import type { OnText } from "../engine/supervisor.ts";

export interface JobRooms {
  readonly models: () => readonly CatalogModel[];
  /** Whether the engine holds what the job needs of its image. */
  readonly holds: (job: ImageJob) => boolean;
  readonly dispatcher: Pick<Dispatcher, "run">;
}

/** What a route is called with. */
export interface JobCall {
  readonly rooms: JobRooms;
  /** Verified. */
  readonly body: Uint8Array;
  readonly contentType: string;
  /** Aborts when the client has left. */
  readonly gone: AbortSignal;
  /** Hears the texts of a request that asks for a stream, as they are written. */
  readonly onText?: OnText;
}

/** An answer, and what the log and the metrics are told of it. */
export interface Answered<Response = unknown> {
  readonly response: Response;
  readonly model: string;
  readonly kind: Outcome["kind"];
  /** Texts generated, matched or embedded, or 1 for an image. */
  readonly items: number;
  /** Generated tokens. */
  readonly tokens: number;
  /** Undefined where there was no image. */
  readonly visionPasses: number | undefined;
  readonly times: Pick<Dispatched, "queueMs" | "stages">;
  /** Whether the request asked for a stream. */
  readonly streamed: boolean;
}

type AskedOfModel = Pick<InferRequest, "model" | "model_revision" | "deadline_ms" | "priority">;
type DispatchedAs<K extends Outcome["kind"]> = Extract<Dispatched, { readonly kind: K }>;

/** What a job is made of. */
export interface JobSource<Request> {
  readonly request: Request;
  readonly pixels: Uint8Array | undefined;
  readonly fields: JobFields;
  readonly model: CatalogModel;
}

/** What tells one route from another. */
export interface JobRoute<Request extends AskedOfModel, Kind extends Outcome["kind"], Response> {
  readonly schema: z.ZodType<Request>;
  /** The model must have one of them. */
  readonly abilities: readonly Ability[];
  readonly kind: Kind;
  /** Errors: `invalid_request`. */
  job(source: JobSource<Request>): Job;
  answer(
    request: Request,
    outcome: DispatchedAs<Kind>,
  ): Pick<Answered<Response>, "response" | "items"> & Partial<Pick<Answered, "tokens">>;
}

/** Errors of what it gives: those of the table that a node may give. */
export function jobRoute<Request extends AskedOfModel, Kind extends Outcome["kind"], Response>(
  route: JobRoute<Request, Kind, Response>,
): (call: JobCall) => Promise<Answered<Response>> {
  return async (call) => {
    const { request, pixels } = readRequest(call, route.schema);
    const model = findModel(call.rooms.models(), request, route.abilities);
    const fields = {
      model: request.model,
      modelRevision: request.model_revision,
      priority: request.priority ?? "interactive",
      deadlineMs: request.deadline_ms,
    };
    const job = route.job({ request, pixels, fields, model });
    if ("imageId" in job) requireImage(call.rooms, job);
    const outcome = await runJob(call, job, route.kind);
    return {
      tokens: 0,
      ...route.answer(request, outcome),
      model: request.model,
      kind: outcome.kind,
      visionPasses: "imageId" in job ? outcome.visionPasses : undefined,
      times: outcome,
      streamed: isStreamed(job),
    };
  };
}

const isStreamed = (job: Job): boolean => job.kind === "generate" && job.stream;

/** Errors: `unsupported_media_type`, `invalid_request` with every fault of the form, those of readFrame. */
function readRequest<T>(
  { body, contentType }: Pick<JobCall, "body" | "contentType">,
  schema: z.ZodType<T>,
): { readonly request: T; readonly pixels: Uint8Array | undefined } {
  const type = contentType.split(";")[0]?.trim().toLowerCase();
  if (type === framedType) {
    const frame = readFrame(body, contentType);
    return { request: parseRequest(frame.json, schema), pixels: frame.pixels };
  }
  if (type !== "application/json") {
    throw new AppError(
      "unsupported_media_type",
      `Send application/json, or ${framedType} with the pixels as its second part.`,
    );
  }
  return { request: parseRequest(decodeUtf8(body), schema), pixels: undefined };
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new AppError("invalid_request", "The request is not UTF-8.", { cause });
  }
}

function parseRequest<T>(text: string, schema: z.ZodType<T>): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new AppError("invalid_request", "The request is not JSON.", { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new AppError("invalid_request", "The request does not have the protocol's form.", {
    errors: nearestForm(parsed.error.issues).map((issue) => ({
      field: issue.path.join("."),
      message: issue.message,
    })),
  });
}

/** Where there are several forms, the faults of the one that the request comes nearest to. */
function nearestForm(issues: readonly z.core.$ZodIssue[]): readonly z.core.$ZodIssue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== "invalid_union" || issue.errors.length === 0) return [issue];
    const [nearest = []] = issue.errors.toSorted((a, b) => a.length - b.length);
    return nearestForm(nearest);
  });
}

/**
 * The model, which has one of `abilities`.
 * Errors: `model_not_found`, `revision_mismatch`, `invalid_request` for a model that cannot do it.
 */
function findModel(
  models: readonly CatalogModel[],
  request: AskedOfModel,
  abilities: readonly Ability[],
): CatalogModel {
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
  const can = (each: CatalogModel) => abilities.some((one) => each.abilities.includes(one));
  if (!can(model)) {
    const others = models.filter(can).map((each) => each.model);
    throw new AppError(
      "invalid_request",
      `The model "${model.model}" cannot do this (${abilities.join(", ")}); it can: ${model.abilities.join(", ")}. ${
        others.length === 0 ? "No model of this node can." : `Ask for ${others.join(" or ")}.`
      }`,
    );
  }
  return model;
}

/** Errors: `invalid_request` for pixels of another size. */
export function imageFields(
  { partition, image }: Pick<InferRequest, "partition" | "image">,
  pixels: Uint8Array | undefined,
  model: CatalogModel,
): ImageFields {
  return {
    partition,
    imageId: image.image_id,
    ...(pixels === undefined ? {} : { pixels: checkPixels(pixels, image.size, model) }),
  };
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

/** Errors: `pixels_required`, before the job takes a place in the queue. */
function requireImage(rooms: JobRooms, job: ImageJob): void {
  if (job.pixels === undefined && !rooms.holds(job)) {
    throw new AppError("pixels_required", "Send the request again with the image's pixels.");
  }
}

/** Errors: `deadline_exceeded`, `canceled`, the queue's and the engine's. */
async function runJob<K extends Outcome["kind"]>(
  { rooms, gone, onText }: Pick<JobCall, "rooms" | "gone" | "onText">,
  job: Job,
  kind: K,
): Promise<DispatchedAs<K>> {
  const { deadlineMs } = job;
  const deadline = new AbortController();
  const timer = setTimeout(() => {
    deadline.abort(
      new AppError("deadline_exceeded", `The answer was not ready within ${deadlineMs} ms.`, {
        retryAfterS: 1,
      }),
    );
  }, deadlineMs);
  const leave = (): void => deadline.abort(new AppError("canceled", "The caller went away."));
  gone.addEventListener("abort", leave, { once: true });
  try {
    if (gone.aborted) leave();
    const hear = isStreamed(job) ? onText : undefined;
    const outcome = await rooms.dispatcher.run(job, deadline.signal, hear);
    if (!isOf(outcome, kind)) throw new Error(`a ${job.kind} job came back as ${outcome.kind}`);
    return outcome;
  } finally {
    clearTimeout(timer);
    gone.removeEventListener("abort", leave);
  }
}

const isOf = <K extends Outcome["kind"]>(
  outcome: Dispatched,
  kind: K,
): outcome is DispatchedAs<K> => outcome.kind === kind;
