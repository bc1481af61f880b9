// DELETE /v1/cache: what is to be forgotten, and from when on it is.
import { z } from "zod";
import { imageIdSchema } from "./image.ts";
import { tenantSchema } from "./keys.ts";

/** At least one; those that are named hold together. */
export const purgeQuerySchema = z.strictObject({
  image_id: imageIdSchema.optional(),
  model_revision: z
    .string()
    .regex(/^[0-9a-f]{16}$/, "must be a model_revision: 16 hex digits (lower case)")
    .optional(),
  /** An admin key names its own or none; for an operator, none is every one. */
  tenant: tenantSchema.optional(),
});

export const purgeSchema = z.object({
  /** Null: every one. */
  image_id: z.string().nullable(),
  model_revision: z.string().nullable(),
  tenant: z.string().nullable(),
  /** What was in the cache then, or on its way into it, is forgotten. */
  purged_at: z.string(),
  /** From then on everywhere; at once where this was answered. */
  in_force_by: z.string(),
});
export type Purge = z.infer<typeof purgeSchema>;
