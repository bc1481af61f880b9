// The generation flags of `caption` and `ask`: Hugging Face's names in kebab case, checked by the same
// schema as the API's fields.
import {
  type Generation,
  generationFields,
  generationSchema,
  resolveGeneration,
} from "@blip2-edge/shared/contracts/generation";
import { usageError } from "./parse-flags.ts";

const fieldNames = Object.keys(generationFields);
const flagOf = (field: string): string => field.replaceAll("_", "-");

/** For parseFlags. */
export const generationFlags = {
  "max-new-tokens": { type: "string" },
  "min-new-tokens": { type: "string" },
  "repetition-penalty": { type: "string" },
  "no-repeat-ngram-size": { type: "string" },
} as const;

export const generationUsage = Object.keys(generationFlags)
  .map((flag) => `[--${flag} N]`)
  .join(" ");

/** Errors: `usage` that names every flag at fault. */
export function parseGeneration(
  values: Readonly<Record<string, unknown>>,
  usage: string,
): Generation {
  const given = fieldNames.flatMap((field) => {
    const text = values[flagOf(field)];
    return typeof text === "string" ? [[field, text.trim() === "" ? NaN : Number(text)]] : [];
  });
  const parsed = generationSchema.safeParse(Object.fromEntries(given));
  if (parsed.success) return resolveGeneration(parsed.data);
  const faults = parsed.error.issues.map(
    ({ path, message }) => `--${flagOf(String(path[0]))}: ${message}`,
  );
  throw usageError(faults.join("; "), usage);
}
