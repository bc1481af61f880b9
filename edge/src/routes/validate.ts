// Turns the faults that a schema finds into one invalid_request that names every field.
import { AppError } from "@blip2-edge/shared/problem";
import type { z } from "zod";

export interface FieldFault {
  readonly field: string;
  readonly message: string;
}

const maxFaults = 20;

export function invalidRequest(faults: readonly FieldFault[]): AppError {
  const errors = faults.slice(0, maxFaults);
  const words = errors.map(({ field, message }) => (field === "" ? message : `${field}: ${message}`));
  return new AppError("invalid_request", `${words.join("; ")}.`.replace(/\.\.$/, "."), { errors });
}

function faultsOf(error: z.ZodError): FieldFault[] {
  return error.issues.flatMap((issue): FieldFault[] => {
    const at = issue.path.join(".");
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        field: at === "" ? key : `${at}.${key}`,
        message: "is not a field of this request",
      }));
    }
    return [{ field: at, message: issue.message }];
  });
}

/** Parses with the schema. Throws invalid_request with every fault. */
export function validate<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidRequest(faultsOf(parsed.error));
}
