// Texts that no picture of a set answers: a JSON list.
import { z } from "zod";
import { type DataFile, parseDataFile } from "./data-file.ts";

/** Errors: `dataset_invalid`. */
export const readTextFile = (file: DataFile): readonly string[] =>
  parseDataFile(file, z.array(z.string().min(1)).min(1), 'a list ["text", ...]');
