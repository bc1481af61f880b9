// The generation flags of `caption` and `ask`: Hugging Face's names in kebab case, checked by the same
// schema as the API's fields.
import {
  type Generation,
  generationFields,
  generationNotes,
  type GenerationRequest,
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
  "max-length": { type: "string" },
  "min-length": { type: "string" },
  "num-beams": { type: "string" },
  "length-penalty": { type: "string" },
  "early-stopping": { type: "string" },
  "repetition-penalty": { type: "string" },
  "no-repeat-ngram-size": { type: "string" },
  "do-sample": { type: "string" },
  temperature: { type: "string" },
  "top-k": { type: "string" },
  "top-p": { type: "string" },
  "num-return-sequences": { type: "string" },
  seed: { type: "string" },
} as const;

/** Flags that may stand alone, which is `true`, and the words that may follow them. */
const bareFlags = new Map([
  ["--do-sample", ["true", "false"]],
  ["--early-stopping", ["true", "false", "never"]],
]);

export const generationUsage = Object.keys(generationFlags)
  .map((flag) => {
    const words = bareFlags.get(`--${flag}`);
    return words === undefined ? `[--${flag} N]` : `[--${flag} [${words.join("|")}]]`;
  })
  .join(" ");

/**
 * For parseFlags, which knows no flag whose value may be left out and takes none that begins with a dash:
 * writes `=true` behind the one and `=-1` for the other.
 */
export function spellOutFlags(args: readonly string[]): string[] {
  const [arg, next = "", ...rest] = args;
  if (arg === undefined || arg === "--") return [...args];
  const isOurs = arg.startsWith("--") && Object.hasOwn(generationFlags, arg.slice(2));
  if (isOurs && /^-\.?\d/.test(next)) return [`${arg}=${next}`, ...spellOutFlags(rest)];
  const words = bareFlags.get(arg);
  const isBare = words !== undefined && !words.includes(next);
  return [isBare ? `${arg}=true` : arg, ...spellOutFlags(args.slice(1))];
}

export interface ParsedGeneration {
  readonly generation: Generation;
  /** What of it changes nothing, in words. */
  readonly notes: readonly string[];
}

/** What no flag sets is as in `base`. Errors: `usage` that names every flag at fault. */
export function parseGeneration(
  values: Readonly<Record<string, unknown>>,
  usage: string,
  base: GenerationRequest = {},
): ParsedGeneration {
  const given = fieldNames.flatMap((field) => {
    const text = values[flagOf(field)];
    return typeof text === "string"
      ? [[field, valueOf(text, bareFlags.has(`--${flagOf(field)}`))]]
      : [];
  });
  const parsed = generationSchema.safeParse({ ...base, ...Object.fromEntries(given) });
  if (parsed.success) {
    return { generation: resolveGeneration(parsed.data), notes: generationNotes(parsed.data) };
  }
  const faults = parsed.error.issues.map(
    ({ path, message }) => `--${flagOf(String(path[0]))}: ${message}`,
  );
  throw usageError(faults.join("; "), usage);
}

/** What is no number or no truth is left for the schema to refuse. */
function valueOf(text: string, isWord: boolean): unknown {
  if (isWord) return text === "true" ? true : text === "false" ? false : text;
  return text.trim() === "" ? NaN : Number(text);
}

/** A result with the notes of its request before its own; none, no field. */
export function withNotes<Result extends { readonly notes?: string[] | undefined }>(
  result: Result,
  notes: readonly string[],
): Result {
  const all = [...notes, ...(result.notes ?? [])];
  return all.length === 0 ? result : { ...result, notes: all };
}
