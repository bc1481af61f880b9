// What Cloudflare's API answers: its envelope, its refusals, and which of them may pass. A token never appears in an error.
import { z } from "zod";
import { DeployError } from "./deploy-error.ts";
import { explain, type ApiFault } from "./explain.ts";

const envelopeSchema = z.object({
  success: z.boolean(),
  result: z.unknown().optional(),
  errors: z
    .array(z.object({ code: z.number().optional(), message: z.string().default("") }))
    .nullish()
    .transform((errors) => errors ?? []),
  result_info: z
    .object({
      page: z.number(),
      per_page: z.number(),
      total_count: z.number(),
      total_pages: z.number(),
      cursor: z.string(),
    })
    .partial()
    .nullish(),
});
export type Envelope = z.infer<typeof envelopeSchema>;

/** An answer of the API that is a refusal. */
export class ApiError extends DeployError {
  readonly status: number;
  /** How long the API asks to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(fault: ApiFault, retryAfterMs?: number) {
    const { message, next } = explain(fault);
    super(message, next);
    this.status = fault.status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** What an answer holds when it is no refusal. Throws ApiError. */
export async function readEnvelope(
  response: Response,
  asked: Pick<ApiFault, "method" | "path">,
): Promise<Envelope> {
  const text = await response.text();
  const read = envelopeSchema.safeParse(jsonOf(text));
  if (read.success && read.data.success) return read.data;
  const errors = read.data?.errors ?? [{ message: text.slice(0, 200) }];
  const after = response.headers.get("retry-after") ?? "";
  throw new ApiError(
    { ...asked, status: response.status, errors },
    /^\d+$/.test(after) ? Number(after) * 1000 : undefined,
  );
}

/** What may pass by itself. */
export const passes = (error: unknown): boolean =>
  error instanceof ApiError
    ? error.status === 429 || error.status >= 500
    : error instanceof TypeError ||
      (error instanceof DOMException && error.name === "TimeoutError");

/** In words, where nothing answered at all. */
export function unreachable(error: unknown, base: string): unknown {
  if (error instanceof ApiError || !passes(error)) return error;
  return new DeployError(
    `Cloudflare's API at ${new URL(base).host} cannot be reached: ${error instanceof Error ? error.message : String(error)}.`,
    "Check the network and run the same command again: it goes on where it was.",
    { cause: error },
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A result in the form that is known here. Throws DeployError. */
export function shaped<T>(schema: z.ZodType<T>, result: unknown, path: string): T {
  const read = schema.safeParse(result);
  if (read.success) return read.data;
  const why = read.error.issues.map(({ path: at, message }) => `${at.join(".")}: ${message}`);
  throw new DeployError(
    `Cloudflare's API answered ${path} in a form that is not known here: ${why.join("; ")}.`,
    "It may have changed since this version was written: look for a newer version of blip2-edge.",
  );
}
