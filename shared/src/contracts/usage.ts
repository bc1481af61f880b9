// GET /v1/usage: what keys have spent, by key and day (UTC), as their meters count it.
import { z } from "zod";
import { keyIdSchema, listKeysQuerySchema, tenantSchema } from "./keys.ts";

const daySchema = z.iso.date({ error: "must be a day such as 2030-01-31" });

/** Days that a meter keeps. */
export const maxUsageDays = 400;
export const defaultUsageDays = 31;

export const usageQuerySchema = z.strictObject({
  /** One key instead of every key of the tenant; a key without `admin` sees itself alone. */
  key_id: keyIdSchema.optional(),
  /** For operators. */
  tenant: tenantSchema.optional(),
  /** Both days count; the last 31 when left out. */
  from: daySchema.optional(),
  to: daySchema.optional(),
  cursor: listKeysQuerySchema.shape.cursor,
});
export type UsageQuery = z.infer<typeof usageQuerySchema>;

export const usageDaySchema = z.object({
  key_id: z.string(),
  name: z.string(),
  tenant: z.string(),
  day: z.string(),
  /** Texts and pictures that nodes were asked for and that were answered: what quotas count. */
  inferences: z.number(),
  /** Calls of nodes that were answered. */
  calls: z.number(),
  /** Calls that failed; they cost nothing. */
  refunded_calls: z.number(),
  /** Calls whose Worker vanished in the middle; they cost nothing either. */
  expired_calls: z.number(),
});
export type UsageDay = z.infer<typeof usageDaySchema>;

export const usageListSchema = z.object({
  usage: z.array(usageDaySchema),
  /** Where the next page of keys begins; absent on the last. */
  cursor: z.string().optional(),
});
export type UsageList = z.infer<typeof usageListSchema>;
