// A delivery as table deliveries holds it, and what the API tells of it.
import { deliveryStates, type Delivery } from "@blip2-edge/shared/contracts/deliveries";
import { z } from "zod";

export const deliveryRecordSchema = z.object({
  id: z.string(),
  connection_id: z.string(),
  delivery_id: z.string(),
  event: z.string(),
  asset_id: z.string(),
  version: z.string(),
  state: z.enum(deliveryStates),
  reason: z.string().nullable(),
  detail: z.string().nullable(),
  attempts: z.number(),
  seen: z.number(),
  backfill: z.string().nullable(),
  due_at: z.number().nullable(),
  lease: z.string().nullable(),
  received_at: z.number(),
  finished_at: z.number().nullable(),
});
export type DeliveryRecord = z.output<typeof deliveryRecordSchema>;
export const deliveryColumns = Object.keys(deliveryRecordSchema.shape).join(", ");

const orNull = (text: string): string | null => (text === "" ? null : text);
const written = (at: number | null): string | null =>
  at === null ? null : new Date(at).toISOString();

export const deliveryOf = (record: DeliveryRecord): Delivery => ({
  id: record.id,
  connection: record.connection_id,
  delivery_id: record.delivery_id,
  event: record.event,
  asset_id: orNull(record.asset_id),
  version: orNull(record.version),
  state: record.state,
  reason: record.reason,
  detail: record.detail,
  attempts: record.attempts,
  seen: record.seen,
  ...(record.backfill === null ? {} : { backfill: record.backfill }),
  received_at: new Date(record.received_at).toISOString(),
  next_attempt_at: record.lease === null ? written(record.due_at) : null,
  finished_at: written(record.finished_at),
});
