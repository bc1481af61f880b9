// The generation flags of `caption` and `vqa`: Hugging Face's names in kebab case, checked by the schema of the
// API's own fields.
import {
  generationFields,
  generationSchema,
  type GenerationRequest,
} from "@blip2-edge/shared/contracts/generation";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { orUsage } from "./flags.ts";

const text = { type: "string" } as const;
/** For parseFlags. */
export const generationFlags = {
  "max-new-tokens": text,
  "min-new-tokens": text,
  "max-length": text,
  "min-length": text,
  "num-beams": text,
  "length-penalty": text,
  "early-stopping": text,
  "repetition-penalty": text,
  "no-repeat-ngram-size": text,
  "do-sample": { type: "boolean" },
  temperature: text,
  "top-k": text,
  "top-p": text,
  "num-return-sequences": text,
  seed: text,
} as const;

export const generationHelp = `  generation   ${Object.keys(generationFlags)
  .map((flag) => `--${flag}`)
  .join(" ")}`;

/** What is no number or truth is left for the schema to refuse. */
function valueOf(value: string | boolean | undefined): unknown {
  if (typeof value !== "string") return value;
  if (value === "true" || value === "false") return value === "true";
  return value.trim() === "" || Number.isNaN(Number(value)) ? value : Number(value);
}

/** Errors: `usage` that names every field at fault. */
export function generationOf(
  values: Readonly<Record<string, string | boolean | undefined>>,
  usage: string,
): GenerationRequest {
  const given = Object.keys(generationFields).flatMap((field) => {
    const value = valueOf(values[field.replaceAll("_", "-")]);
    return value === undefined ? [] : [[field, value]];
  });
  return orUsage(usage, () => parseOrRefuse(generationSchema, Object.fromEntries(given)));
}
