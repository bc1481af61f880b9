// What was said elsewhere, in the form that COCO's and VQA's result servers take: a list of
// {"image_id","caption"} or {"question_id","answer"}, one for each item and none besides.
import { z } from "zod";
import {
  type DataFile,
  type Id,
  idSchema,
  listed,
  parseDataFile,
  refuse,
  refuseRepeats,
  refuseUnknown,
} from "./data-file.ts";

const captionsSchema = z
  .array(z.object({ image_id: idSchema, caption: z.string() }))
  .transform((list) => list.map(({ image_id, caption }) => ({ id: image_id, text: caption })));
const answersSchema = z
  .array(z.object({ question_id: idSchema, answer: z.string() }))
  .transform((list) => list.map(({ question_id, answer }) => ({ id: question_id, text: answer })));

export type PredictionKind = "captions" | "answers";

/**
 * The text of each of `wanted`, in their order; `all` are the ids that may occur (more than are wanted, under a
 * limit). Errors: `dataset_invalid` that names what is missing, unknown or there twice.
 */
export function readPredictions(
  file: DataFile,
  kind: PredictionKind,
  wanted: readonly Id[],
  all: readonly Id[],
): readonly string[] {
  const found =
    kind === "captions"
      ? parseDataFile(file, captionsSchema, 'a list of {"image_id","caption"}')
      : parseDataFile(file, answersSchema, 'a list of {"question_id","answer"}');
  const ids = found.map(({ id }) => id);
  refuseRepeats(file, "the id", ids);
  refuseUnknown(file, "has ids that the annotations lack", ids, new Set(all.map(String)));
  const texts = new Map(found.map(({ id, text }) => [String(id), text]));
  const missing = wanted.filter((id) => !texts.has(String(id)));
  if (missing.length > 0) throw refuse(file, `says nothing of ${listed(missing)}.`);
  return wanted.map((id) => texts.get(String(id)) ?? "");
}
