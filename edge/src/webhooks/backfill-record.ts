// A backfill as table backfills holds it, and what the API tells of it.
import {
  backfillCountsSchema,
  backfillPictures,
  backfillStates,
  type Backfill,
  type BackfillCounts,
} from "@blip2-edge/shared/contracts/backfills";
import type { DeliveryState } from "@blip2-edge/shared/contracts/deliveries";
import { z } from "zod";
import { tellReason } from "./reasons.ts";

const flag = z.number().transform((value) => value !== 0);

export const backfillRecordSchema = z.object({
  id: z.string(),
  connection_id: z.string(),
  tenant: z.string(),
  started_by: z.string(),
  pictures: z.enum(backfillPictures),
  dry_run: flag,
  rate: z.number(),
  most: z.number().nullable(),
  state: z.enum(backfillStates),
  reason: z.string().nullable(),
  detail: z.string().nullable(),
  listing: flag,
  cursor: z.string().nullable(),
  pass: z.number(),
  fresh: z.number(),
  found: z.number(),
  counted: z.number(),
  next_at: z.number(),
  attempts: z.number(),
  due_at: z.number().nullable(),
  lease: z.string().nullable(),
  counts: z
    .string()
    .transform((stored): unknown => JSON.parse(stored))
    .pipe(backfillCountsSchema)
    .nullable(),
  created_at: z.number(),
  ended_at: z.number().nullable(),
});
export type BackfillRecord = z.output<typeof backfillRecordSchema>;
export const backfillColumns = Object.keys(backfillRecordSchema.shape).join(", ");

/** How many deliveries of a backfill are in each state. */
export type DeliveryCounts = Readonly<Partial<Record<DeliveryState, number>>>;

export function countsOf(record: BackfillRecord, of: DeliveryCounts): BackfillCounts {
  const { counts: kept, found } = record;
  if (record.state === "done" && kept !== null) return kept;
  const { listed: waiting = 0, received = 0, queued = 0, fetching = 0, described = 0 } = of;
  const { written = 0, suggested = 0, skipped = 0, failed = 0, dead = 0 } = of;
  const waits = received + queued + fetching + described;
  const over = written + suggested + skipped + failed + dead;
  // Of one that was cut short the deliveries that were not begun are gone.
  const listed = kept?.listed ?? (record.dry_run ? record.counted : waiting + waits + over);
  return {
    ...{ found, known: Math.max(0, found - listed), listed },
    ...{ waiting, queued: waits, written, suggested, skipped, failed, dead },
  };
}

/** What holds up all of a connection. */
export interface HeldUp {
  readonly until: number;
  readonly reason: string | null;
}

const written = (at: number | null): string | null =>
  at === null ? null : new Date(at).toISOString();

export function backfillOf(
  record: BackfillRecord,
  of: DeliveryCounts,
  heldUp: HeldUp,
  now = Date.now(),
): Backfill {
  const counts = countsOf(record, of);
  const left = counts.waiting + counts.queued;
  const isHeldUp = record.state === "running" && heldUp.until > now && heldUp.reason !== null;
  const leftS = Math.ceil((left * 60) / record.rate);
  return {
    id: record.id,
    connection: record.connection_id,
    state: isHeldUp ? "paused" : record.state,
    reason: isHeldUp ? heldUp.reason : record.reason,
    detail: isHeldUp ? tellReason(heldUp.reason ?? "") : record.detail,
    resumes_at: isHeldUp ? written(heldUp.until) : null,
    pictures: record.pictures,
    rate: record.rate,
    limit: record.most,
    dry_run: record.dry_run,
    listing: record.listing && record.ended_at === null,
    ...{ counts, left },
    left_s: record.listing && record.ended_at === null ? null : leftS,
    started_by: record.started_by,
    created_at: new Date(record.created_at).toISOString(),
    ended_at: written(record.ended_at),
  };
}
