// Reads a request body within its bounds of bytes and time, whatever Content-Length claims, and splits
// it into fields: a JSON object, or multipart/form-data with the file `image` and the JSON `request`.
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";

export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/** The JSON part of a multipart body: 64 texts of 2,000 characters, each written with an escape. */
const maxJsonPartBytes = 1_048_576;

export interface RequestFields {
  readonly json: Readonly<Record<string, unknown>>;
  readonly files: readonly Uint8Array[];
}

async function readBytes(
  request: Request,
  limits: BodyLimits,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = new AppError(
    "body_too_large",
    `The request body has more than ${limits.maxBytes} bytes, which is the most that is taken.`,
  );
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > limits.maxBytes) throw tooLarge;
  const timeout = AbortSignal.timeout(limits.timeoutMs);
  try {
    const read = await readBounded(
      request.body,
      limits.maxBytes,
      AbortSignal.any([signal, timeout]),
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

const bytesOf = async (part: File | string): Promise<Uint8Array> =>
  typeof part === "string"
    ? new TextEncoder().encode(part)
    : new Uint8Array(await part.arrayBuffer());

async function parseMultipart(
  bytes: Uint8Array<ArrayBuffer>,
  type: string,
): Promise<RequestFields> {
  let form: FormData;
  try {
    form = await new Response(bytes, { headers: { "content-type": type } }).formData();
  } catch (error) {
    throw new AppError("invalid_request", "The multipart body is not well-formed.", {
      cause: error,
    });
  }
  const foreign = [...new Set(form.keys())].filter(
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
  const parts: readonly (File | string)[] = form.getAll("image");
  if (parts.some((part) => typeof part === "string")) {
    throw invalidRequest([{ field: "image", message: "must be a file (a part with a file name)" }]);
  }
  const requests: readonly (File | string)[] = form.getAll("request");
  const [options] = requests;
  if (requests.length > 1) {
    throw invalidRequest([{ field: "request", message: "was given more than once" }]);
  }
  const jsonBytes = options === undefined ? undefined : await bytesOf(options);
  if (jsonBytes !== undefined && jsonBytes.length > maxJsonPartBytes) {
    throw new AppError(
      "body_too_large",
      `The part request has more than ${maxJsonPartBytes} bytes.`,
    );
  }
  return {
    json: jsonBytes === undefined ? {} : parseJsonObject(jsonBytes, "The part request"),
    files: await Promise.all(parts.map(bytesOf)),
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
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  refuseEncoding(request);
  const limits = { timeoutMs, maxBytes: Math.min(maxBytes, maxJsonPartBytes) };
  const bytes = await readBytes(request, limits, signal);
  if (bytes.length === 0) return {};
  const type = request.headers.get("content-type") ?? "";
  if ((type.split(";")[0] ?? "").trim().toLowerCase() !== "application/json") {
    throw new AppError("unsupported_media_type", "Send application/json.");
  }
  return parseJsonObject(bytes, "The request body");
}

/** Throws body_too_large, request_timeout, unsupported_media_type, invalid_request. */
export async function readFields(
  request: Request,
  limits: BodyLimits,
  signal: AbortSignal,
): Promise<RequestFields> {
  const type = request.headers.get("content-type") ?? "";
  const essence = (type.split(";")[0] ?? "").trim().toLowerCase();
  if (essence !== "application/json" && essence !== "multipart/form-data") {
    throw new AppError(
      "unsupported_media_type",
      "Send application/json, or multipart/form-data with the file as the part `image`.",
    );
  }
  refuseEncoding(request);
  const bytes = await readBytes(request, limits, signal);
  if (essence === "multipart/form-data") return parseMultipart(bytes, type);
  return { json: parseJsonObject(bytes, "The request body"), files: [] };
}
