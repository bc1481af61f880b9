// What all evaluation files share: JSON of a known shape, faults that name the file, the place and the ids.
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";

/** A file that was read, with the name to call it by. */
export interface DataFile {
  readonly name: string;
  readonly text: string;
}

export const refuse = (file: DataFile, why: string): AppError =>
  new AppError("dataset_invalid", `${file.name} ${why}`);

/** Errors: `dataset_invalid` for what is no JSON (a file that was cut short, most often) or of another shape. */
export function parseDataFile<Schema extends z.ZodType>(
  file: DataFile,
  schema: Schema,
  shape: string,
): z.infer<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(file.text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError(
      "dataset_invalid",
      `${file.name} is not whole JSON (${why}); was it cut short? Fetch it again.`,
      { cause },
    );
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  const where = first?.path.map((part) =>
    typeof part === "number" ? `[${part}]` : `.${String(part)}`,
  );
  throw refuse(
    file,
    `is not what was expected, ${shape}: ${where?.join("").replace(/^\./, "") || "the whole"}: ${first?.message ?? "invalid"}.`,
  );
}

/** Ids are numbers in COCO's files and names in others; the same digits are the same id. */
export const idSchema = z.union([z.int(), z.string().min(1)]);
export type Id = z.infer<typeof idSchema>;

/** A few of many, for a message. */
export const listed = (ids: readonly Id[]): string =>
  `${ids.slice(0, 5).join(", ")}${ids.length > 5 ? ` and ${ids.length - 5} more` : ""}`;

/** Errors: `dataset_invalid` that names what occurs twice. */
export function refuseRepeats(file: DataFile, what: string, ids: readonly Id[]): void {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const id of ids.map(String)) (seen.has(id) ? repeated : seen).add(id);
  if (repeated.size > 0) {
    throw refuse(file, `has ${what} more than once: ${listed([...repeated])}. Keep one of each.`);
  }
}

/** Errors: `dataset_invalid` that names the ids of `found` that `known` lacks. */
export function refuseUnknown(
  file: DataFile,
  what: string,
  found: readonly Id[],
  known: { has(id: string): boolean },
): void {
  const unknown = [...new Set(found.map(String))].filter((id) => !known.has(id));
  if (unknown.length > 0) throw refuse(file, `${what}: ${listed(unknown)}.`);
}
