// What became of each webhook: /v1/connections/{connection}/deliveries, and the audit trail beside it.
import { z } from "zod";
import { backfillIdSchema } from "./backfills.ts";
import { connectionIdSchema } from "./connections.ts";

const deliveryIdSchema = z
  .string()
  .regex(/^dlv_[0-9a-f]{32}$/, "must be dlv_ and 32 hex digits (lower case)");

/**
 * listed: a backfill found it, and its turn has not come; received and queued wait; fetching and described are worked on; the others are over. failed: this will not go well
 * by itself; dead: it was tried as often as it may be. Both may be replayed.
 */
export const deliveryStates = [
  "listed",
  "received",
  "queued",
  "fetching",
  "described",
  "written",
  "suggested",
  "skipped",
  "failed",
  "dead",
] as const;
export type DeliveryState = (typeof deliveryStates)[number];

const cursorSchema = z
  .string()
  .regex(/^\d{1,15}$/, "must be the cursor of an answer")
  .optional();
const assetIdSchema = z.string().min(1).max(200);

export const listDeliveriesQuerySchema = z.strictObject({
  connection: connectionIdSchema,
  state: z.enum(deliveryStates).optional(),
  asset_id: assetIdSchema.optional().describe("As the CMS names it."),
  cursor: cursorSchema,
});

export const oneDeliverySchema = z.strictObject({
  connection: connectionIdSchema,
  id: deliveryIdSchema,
});

export const deliverySchema = z.object({
  id: deliveryIdSchema,
  connection: connectionIdSchema,
  /** The sender's own id, or the digest of the body where it sends none. */
  delivery_id: z.string(),
  event: z.string(),
  asset_id: z.string().nullable(),
  version: z.string().nullable().describe("Of the asset's bytes, where it is known."),
  state: z.enum(deliveryStates),
  reason: z.string().nullable().describe("Why it stands as it does, as a word."),
  detail: z.string().nullable().describe("The same in a sentence."),
  attempts: z.int(),
  seen: z.int().describe("How often it was delivered."),
  backfill: backfillIdSchema.optional().describe("The backfill that took it up."),
  received_at: z.string(),
  next_attempt_at: z.string().nullable(),
  finished_at: z.string().nullable(),
});
export type Delivery = z.infer<typeof deliverySchema>;

export const deliveryListSchema = z.object({
  deliveries: z.array(deliverySchema).describe("The newest first."),
  /** Where the next page begins; absent on the last. */
  cursor: z.string().optional(),
});
export type DeliveryList = z.infer<typeof deliveryListSchema>;

export const listConnectionEventsQuerySchema = z.strictObject({
  connection: connectionIdSchema,
  asset_id: assetIdSchema.optional(),
  cursor: cursorSchema,
});

const connectionEventSchema = z.object({
  at: z.string(),
  who: z.string().describe("The id of a key, `sender` or `worker`."),
  what: z.string(),
  asset_id: z.string().nullable(),
  /** The delivery or the suggestion it is about. */
  subject: z.string().nullable(),
  reason: z.string().nullable(),
});
export type ConnectionEvent = z.infer<typeof connectionEventSchema>;

export const connectionEventListSchema = z.object({
  events: z.array(connectionEventSchema).describe("The newest first."),
  /** Where the next page begins; absent on the last. */
  cursor: z.string().optional(),
});
export type ConnectionEventList = z.infer<typeof connectionEventListSchema>;

/** The answer to a webhook: it is kept, and will be worked on. */
export const hookAcceptedSchema = z.object({
  received: z.int().describe("Assets that are new."),
  known: z.int().describe("Assets of which this version was delivered before."),
});
export type HookAccepted = z.infer<typeof hookAcceptedSchema>;
