// How much waits for review, by connection: what an editor may know of connections is their names.
import { connectionKinds } from "@blip2-edge/shared/contracts/connections";
import { maxCounted, type ReviewSummary } from "@blip2-edge/shared/contracts/review";
import { z } from "zod";
import type { JobTables } from "../jobs/tables.ts";

const rowsSchema = z.array(
  z.object({ id: z.string(), name: z.string(), kind: z.enum(connectionKinds), open: z.number() }),
);
const maxConnections = 100;

/** The table of suggestions may be long: of each connection no more rows are read than are counted. */
export async function reviewSummary(table: JobTables, tenant: string): Promise<ReviewSummary> {
  const { results } = await table
    .prepare(
      `SELECT id, name, kind, (SELECT count(*) FROM (
         SELECT 1 FROM suggestions WHERE connection_id = connections.id AND state = 'open' LIMIT ?2
       )) AS open FROM connections WHERE tenant = ?1 ORDER BY name, id LIMIT ?3`,
    )
    .bind(...[tenant, maxCounted, maxConnections])
    .all();
  return { connections: rowsSchema.parse(results) };
}
