// What a request cost and how it went, as one data point of Workers Analytics Engine: for dashboards, which may
// sample. What is billed is the ledger (GET /v1/usage). Nothing of a picture or a text is in it.
import type { LogEvent } from "../log.ts";

/** What this room needs of the binding. */
export interface UsagePoints {
  writeDataPoint(point: {
    readonly indexes: string[];
    readonly blobs: string[];
    readonly doubles: number[];
  }): void;
}

/** In the order of `blob1`, `blob2`, …; docs/edge-observability.md has the same. */
const blobs = ["tenant", "key_id", "route", "model", "cache", "served", "problem"] as const;
/** In the order of `double1`, `double2`, … */
const doubles = [
  ...["status", "duration_ms", "inferences", "inferences_refunded"],
  ...["image_bytes", "body_bytes", "answer_bytes", "node_ms"],
] as const;
/** The platform's bound for an index. */
const maxIndexBytes = 96;

/** Writes the point of a request with a valid key; a stranger's is in the log alone. */
export function writeUsagePoint(points: UsagePoints, event: LogEvent): void {
  const { key_id: keyId } = event;
  if (typeof keyId !== "string") return;
  points.writeDataPoint({
    // Sampling is by key, so that a busy one does not hide a quiet one.
    indexes: [keyId.slice(0, maxIndexBytes)],
    blobs: blobs.map((name) => (typeof event[name] === "string" ? event[name] : "")),
    doubles: doubles.map((name) => Number(event[name] ?? 0)),
  });
}
