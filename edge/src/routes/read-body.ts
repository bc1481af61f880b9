// Reads a request body within its bounds of bytes and time, whatever Content-Length claims, and splits
// it into fields: a JSON object, or multipart/form-data with the file `image` and the JSON `request`.
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";
import type { RequestContext } from "../context.ts";
import type { MemoryShare } from "../images/picture-memory.ts";
import { announcedBytes, roomFor } from "../images/room-for-file.ts";
import { splitMultipart, type FormPart } from "./multipart.ts";

export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
  /** Of a multipart body. */
  readonly maxParts?: number;
}

/** The JSON part of a multipart body: 64 texts of 2,000 characters, each written with an escape. */
const maxJsonPartBytes = 1_048_576;

export interface RequestFields {
  readonly json: Readonly<Record<string, unknown>>;
  readonly files: readonly Uint8Array<ArrayBuffer>[];
}

type BodyContext = Pick<RequestContext, "memory" | "signal" | "event" | "hops">;

/** The body as it stands. Throws body_too_large, request_timeout, overloaded, canceled. */
export async function readBytes(
  request: Request,
  limits: BodyLimits,
  { memory, signal, event, hops }: BodyContext,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await hops.time("body", () => readWithin(request, limits, memory, signal));
  event["body_bytes"] = bytes.length;
  return bytes;
}

async function readWithin(
  request: Request,
  limits: BodyLimits,
  memory: MemoryShare,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = new AppError(
    "body_too_large",
    `The request body has more than ${limits.maxBytes} bytes, which is the most that is taken.`,
  );
  const announced = announcedBytes(request.headers);
  if (announced !== undefined && announced > limits.maxBytes) throw tooLarge;
  const room = await roomFor(announced, memory, signal);
  const timeout = AbortSignal.timeout(limits.timeoutMs);
  try {
    const read = await readBounded(
      request.body,
      limits.maxBytes,
      AbortSignal.any([signal, timeout]),
      room,
    );
    if (!read.ok) throw tooLarge;
    return read.bytes;
  } catch (error) {
    if (error instanceof AppError) throw error;
    signal.throwIfAborted();
    if (timeout.aborted) {
      throw new AppError(
        "request_timeout",
        `The request body did not arrive within ${limits.timeoutMs} ms.`,
      );
    }
    throw new AppError("canceled", "The request body broke off.", { cause: error });
  }
}

function parseJsonObject(bytes: Uint8Array, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch (error) {
    const empty = bytes.length === 0;
    throw new AppError("invalid_request", `${what} is ${empty ? "empty" : "not valid JSON"}.`, {
      cause: error,
    });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new AppError("invalid_request", `${what} is not a JSON object.`);
  }
  return value as Record<string, unknown>;
}

function parseMultipart(
  bytes: Uint8Array<ArrayBuffer>,
  type: string,
  maxParts: number | undefined,
): RequestFields {
  let form: readonly FormPart[];
  try {
    form = splitMultipart(bytes, type, maxParts);
  } catch (error) {
    throw new AppError("invalid_request", "The multipart body is not well-formed.", {
      cause: error,
    });
  }
  const foreign = [...new Set(form.map(({ name }) => name))].filter(
    (name) => name !== "image" && name !== "request",
  );
  if (foreign.length > 0) {
    throw invalidRequest(
      foreign.map((field) => ({
        field,
        message: "is not a part of this request (image, request)",
      })),
    );
  }
  const files = form.filter(({ name }) => name === "image");
  if (files.some(({ isFile }) => !isFile)) {
    throw invalidRequest([{ field: "image", message: "must be a file (a part with a file name)" }]);
  }
  const requests = form.filter(({ name }) => name === "request");
  const [options] = requests;
  if (requests.length > 1) {
    throw invalidRequest([{ field: "request", message: "was given more than once" }]);
  }
  if (options !== undefined && options.bytes.length > maxJsonPartBytes) {
    throw new AppError(
      "body_too_large",
      `The part request has more than ${maxJsonPartBytes} bytes.`,
    );
  }
  return {
    json: options === undefined ? {} : parseJsonObject(options.bytes, "The part request"),
    files: files.map((file) => file.bytes),
  };
}

function refuseEncoding(request: Request): void {
  if ((request.headers.get("content-encoding") ?? "identity") !== "identity") {
    throw new AppError("unsupported_media_type", "Send the body without Content-Encoding.");
  }
}

/** A body that is JSON alone, and a small one; none at all is an empty object. Throws as `readFields`. */
export async function readJson(
  request: Request,
  { timeoutMs, maxBytes }: BodyLimits,
  context: BodyContext,
): Promise<Readonly<Record<string, unknown>>> {
  refuseEncoding(request);
  const limits = { timeoutMs, maxBytes: Math.min(maxBytes, maxJsonPartBytes) };
  const bytes = await readBytes(request, limits, context);
  if (bytes.length === 0) return {};
  refuseOtherThanJson(request);
  return parseJsonObject(bytes, "The request body");
}

function refuseOtherThanJson(request: Request): void {
  const type = request.headers.get("content-type") ?? "";
  if ((type.split(";")[0] ?? "").trim().toLowerCase() !== "application/json") {
    throw new AppError("unsupported_media_type", "Send application/json.");
  }
}

/** A long JSON text takes its own length three times more: as text, as a value, and as the picture's bytes. */
const jsonCopies = 4;

/** A body that is JSON alone and may be long; its memory is held until `work` is done. Throws as `readFields`. */
export async function readLongJson<Result>(
  request: Request,
  limits: BodyLimits,
  context: BodyContext,
  work: (json: Readonly<Record<string, unknown>>) => Promise<Result>,
): Promise<Result> {
  refuseEncoding(request);
  refuseOtherThanJson(request);
  const { memory, signal } = context;
  const bytes = await readBytes(request, limits, context);
  return memory.spend(jsonCopies * bytes.length, signal, () =>
    work(parseJsonObject(bytes, "The request body")),
  );
}

/** Throws body_too_large, request_timeout, overloaded, unsupported_media_type, invalid_request. */
export async function readFields(
  request: Request,
  limits: BodyLimits,
  context: BodyContext,
): Promise<RequestFields> {
  const { memory, signal } = context;
  const type = request.headers.get("content-type") ?? "";
  const essence = (type.split(";")[0] ?? "").trim().toLowerCase();
  if (essence !== "application/json" && essence !== "multipart/form-data") {
    throw new AppError(
      "unsupported_media_type",
      "Send application/json, or multipart/form-data with the file as the part `image`.",
    );
  }
  refuseEncoding(request);
  const bytes = await readBytes(request, limits, context);
  if (essence === "multipart/form-data") return parseMultipart(bytes, type, limits.maxParts);
  return memory.spend(jsonCopies * bytes.length, signal, () =>
    Promise.resolve({ json: parseJsonObject(bytes, "The request body"), files: [] }),
  );
}
