// Signing keys as they stand in a setting of the Worker or of a node: read the same way on both sides.
import { z } from "zod";
import { AppError } from "../problem.ts";
import { parseSigningKeys, type SigningKey } from "./signature.ts";

/** `id:secret` pairs separated by commas or lines; the first signs. Faults never repeat the text. */
export const signingKeysSchema = z.string().transform((text, context): readonly SigningKey[] => {
  try {
    return parseSigningKeys(text);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    context.addIssue({ code: "custom", message: error.detail });
    return z.NEVER;
  }
});
