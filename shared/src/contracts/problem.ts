// RFC 9457 as it travels: every failure of the API, alone or as what became of one of several things.
import { z } from "zod";
import { problemKinds, type ProblemCode } from "../problem.ts";

export const problemCodes = Object.keys(problemKinds) as [ProblemCode, ...ProblemCode[]];

export const problemSchema = z.object({
  type: z.string().describe("A URN that names the code."),
  title: z.string(),
  status: z.int(),
  code: z.enum(problemCodes),
  detail: z.string().optional().describe("What was wrong, and what to do."),
  retryable: z.boolean().describe("Whether the same request may succeed later."),
  retry_after_s: z.number().optional(),
  errors: z
    .array(z.object({ field: z.string(), message: z.string() }))
    .readonly()
    .optional()
    .describe("Every fault of an invalid request."),
});
