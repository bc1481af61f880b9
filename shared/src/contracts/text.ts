// A text that a caller hands to a model: bounded here; whether it fits the model's context the node decides.
import { z } from "zod";

export const maxTextCharacters = 2000;

export const textSchema = z
  .string()
  .max(maxTextCharacters)
  .refine((text) => text.trim() !== "", "is empty");
