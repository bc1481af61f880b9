// What requests in OpenAI's shape have in common: parameters that are passed over since nothing hangs on
// them, parameters that are refused unless they ask for nothing, and the error that their clients read.
import { z } from "zod";
import type { Problem } from "../problem.ts";

/** Taken and passed over. */
export const harmlessFields = {
  user: z.string().nullish().describe("Passed over."),
  safety_identifier: z.string().nullish().describe("Passed over."),
  prompt_cache_key: z.string().nullish().describe("Passed over."),
  metadata: z.record(z.string(), z.string()).nullish().describe("Passed over."),
  service_tier: z.string().nullish().describe("Passed over."),
} as const;

/** A field that may be there, null or say what `schema` takes, which is what happens anyway. */
export const onlyIf = <Schema extends z.ZodType>(schema: Schema, why: string) =>
  z.union([schema, z.null()], { error: why }).optional().describe(why);

/** An extension member of problem documents on the routes of this shape; OpenAI's clients read it alone. */
export const openAiErrorSchema = z.object({
  message: z.string(),
  type: z.string(),
  param: z.string().nullable(),
  code: z.string(),
});
export type OpenAiError = z.infer<typeof openAiErrorSchema>;

function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

export const openAiError = ({ title, detail, status, code, errors }: Problem): OpenAiError => ({
  message: detail ?? title,
  type: typeOf(status),
  param: errors?.[0]?.field ?? null,
  code,
});
