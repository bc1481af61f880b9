// What was said of each version of an asset (table suggestions): what its fields held before, our words, and what
// became of them. The last ones of an asset tell which words in the CMS are ours.
import { imageIdSchema } from "@blip2-edge/shared/contracts/image";
import {
  maxSuggestionsAtOnce,
  suggestionStates,
  wordsSchema,
  type Suggestion,
  type SuggestionList,
  type SuggestionState,
} from "@blip2-edge/shared/contracts/suggestions";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { SqlValue } from "../auth/tables.ts";
import type { JobTables } from "../jobs/tables.ts";
import type { Words } from "./adapter.ts";
import { isSame, pick } from "./may-write.ts";
import { isReason, reasons } from "./reasons.ts";
import { noting } from "./trail.ts";

const words = z
  .string()
  .transform((stored): unknown => JSON.parse(stored))
  .pipe(wordsSchema)
  .transform((read): Words => read as Words);

const recordSchema = z.object({
  id: z.string(),
  connection_id: z.string(),
  tenant: z.string(),
  delivery: z.string(),
  asset_id: z.string(),
  file_name: z.string().nullable(),
  version: z.string(),
  state: z.enum(suggestionStates),
  reason: z.string().nullable(),
  before: words,
  ours: words,
  /** What the model said, once a person has edited it. */
  original: words.nullable(),
  image_id: imageIdSchema,
  model: z.string(),
  model_revision: z.string(),
  log_prob: z.number(),
  itm: z.number().nullable(),
  created_at: z.number(),
  edited_at: z.number().nullable(),
  edited_by: z.string().nullable(),
  decided_at: z.number().nullable(),
  decided_by: z.string().nullable(),
});
export type SuggestionRecord = z.output<typeof recordSchema>;
const columns = Object.keys(recordSchema.shape).join(", ");
const recentCount = 5;

const timeOf = (at: number | null): string | null =>
  at === null ? null : new Date(at).toISOString();

export const suggestionOf = (record: SuggestionRecord): Suggestion => ({
  id: record.id,
  connection: record.connection_id,
  delivery: record.delivery,
  asset_id: record.asset_id,
  file_name: record.file_name,
  version: record.version,
  state: record.state,
  reason: record.reason,
  detail: isReason(record.reason) ? reasons[record.reason] : null,
  before: told(record.before),
  ours: told(record.ours),
  original: record.original === null ? null : told(record.original),
  image_id: record.image_id,
  model: record.model,
  model_revision: record.model_revision,
  log_prob: record.log_prob,
  itm: record.itm,
  created_at: new Date(record.created_at).toISOString(),
  edited_at: timeOf(record.edited_at),
  edited_by: record.edited_by,
  decided_at: timeOf(record.decided_at),
  decided_by: record.decided_by,
});
export const told = ({ tags, ...texts }: Words): Suggestion["ours"] => ({
  ...texts,
  ...(tags === undefined ? {} : { tags: tags === null ? null : [...tags] }),
});

/**
 * Words that we wrote, or meant to; those that a person gave in their place are that person's (docs/decisions/0188).
 * Undone: what was there before stands for good, and ours are nobody's.
 */
export function ownWords(recent: readonly SuggestionRecord[]): Words[] {
  const undone = recent.findIndex(({ state }) => state === "undone");
  return recent.slice(0, undone < 0 ? undefined : undone).map(ofModel);
}

const ofModel = ({ ours, original }: SuggestionRecord): Words =>
  original === null ? ours : pick(ours, (word) => isSame(ours[word], original[word]));

export type NewSuggestion = Omit<
  SuggestionRecord,
  | "id"
  | "state"
  | "created_at"
  | ("original" | "edited_at" | "edited_by")
  | ("decided_at" | "decided_by")
>;

export interface SuggestionStore {
  /** Takes the place of those of the same asset that are open. */
  add(suggestion: NewSuggestion): Promise<SuggestionRecord>;
  /** The last ones of an asset that were not rejected, the newest first. */
  recent(connectionId: string, assetId: string): Promise<readonly SuggestionRecord[]>;
  /** Puts a person's words in the place of ours; undefined: it is not open any more. `who`: a key's id. */
  edit(
    suggestion: SuggestionRecord,
    given: Words,
    who: string,
  ): Promise<SuggestionRecord | undefined>;
  /** `ours`: what was written in the end. `who`: a key's id or `worker`. */
  decide(
    suggestion: SuggestionRecord,
    state: Exclude<SuggestionState, "open">,
    who: string,
    ours?: Words,
  ): Promise<SuggestionRecord>;
  /** Throws not_found. */
  read(tenant: string, id: string): Promise<SuggestionRecord>;
  list(
    tenant: string,
    where: { readonly connection?: string | undefined; readonly state?: string | undefined },
    cursor: string | undefined,
    limit?: number,
  ): Promise<SuggestionList>;
}

export function suggestionStore({
  table,
  now = Date.now,
}: {
  readonly table: JobTables;
  readonly now?: () => number;
}): SuggestionStore {
  const prepared = (sql: string, ...values: SqlValue[]) => table.prepare(sql).bind(...values);
  const parse = (row: unknown): SuggestionRecord | undefined =>
    row === null ? undefined : recordSchema.parse(row);
  const unknownSuggestion = () => new AppError("not_found", "There is no suggestion with this id.");

  const store: SuggestionStore = {
    async add(suggestion) {
      const id = `sug_${crypto.randomUUID().replaceAll("-", "")}`;
      const { before, ours, tenant, connection_id: connectionId, asset_id: assetId } = suggestion;
      const row: Record<string, SqlValue> = {
        ...{ ...suggestion, id, state: "open", created_at: now() },
        ...{ before: JSON.stringify(before), ours: JSON.stringify(ours) },
      };
      const names = Object.keys(row);
      await table.batch([
        prepared(
          "UPDATE suggestions SET state = 'superseded' WHERE connection_id = ?1 AND asset_id = ?2 AND state = 'open'",
          ...[connectionId, assetId],
        ),
        prepared(
          `INSERT INTO suggestions (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
          ...Object.values(row),
        ),
      ]);
      return store.read(tenant, id);
    },

    async recent(connectionId, assetId) {
      const { results } = await prepared(
        `SELECT ${columns} FROM suggestions WHERE connection_id = ?1 AND asset_id = ?2
         AND state <> 'rejected' ORDER BY rowid DESC LIMIT ?3`,
        ...[connectionId, assetId, recentCount],
      ).all();
      return z.array(recordSchema).parse(results);
    },

    async edit({ id, tenant, ours, connection_id: connectionId, asset_id: assetId }, given, who) {
      const at = now();
      const isOpen = "EXISTS (SELECT 1 FROM suggestions WHERE id = ?6 AND state = 'open')";
      const about = { connectionId, at, who, what: "suggestion_edited", assetId, subject: id };
      const [, edited] = await table.batch([
        noting(table, about, isOpen),
        prepared(
          `UPDATE suggestions SET original = coalesce(original, ours), ours = ?2, edited_at = ?3, edited_by = ?4
           WHERE id = ?1 AND state = 'open' RETURNING id`,
          ...[id, JSON.stringify({ ...ours, ...given }), at, who],
        ),
      ]);
      return edited?.results.length === 0 ? undefined : store.read(tenant, id);
    },

    async decide({ id, tenant, connection_id: connectionId, asset_id: assetId }, state, who, ours) {
      const at = now();
      const newWords = ours === undefined ? null : JSON.stringify(ours);
      await table.batch([
        prepared(
          `UPDATE suggestions SET state = ?2, decided_at = ?3, decided_by = ?4, ours = coalesce(?5, ours)
           WHERE id = ?1`,
          ...[id, state, at, who, newWords],
        ),
        noting(table, { connectionId, at, who, what: `suggestion_${state}`, assetId, subject: id }),
      ]);
      return store.read(tenant, id);
    },

    async read(tenant, id) {
      const found = parse(
        await prepared(
          `SELECT ${columns} FROM suggestions WHERE id = ?1 AND tenant = ?2`,
          ...[id, tenant],
        ).first(),
      );
      if (found === undefined) throw unknownSuggestion();
      return found;
    },

    async list(tenant, { connection, state }, cursor, limit = maxSuggestionsAtOnce) {
      const { results } = await prepared(
        `SELECT ${columns}, rowid AS page FROM suggestions WHERE tenant = ?1 AND (?2 = '' OR connection_id = ?2)
         AND (?3 = '' OR state = ?3) AND rowid < ?4 ORDER BY rowid DESC LIMIT ?5`,
        ...[tenant, connection ?? "", state ?? ""],
        ...[Number(cursor ?? Number.MAX_SAFE_INTEGER), limit + 1],
      ).all();
      const page = results.slice(0, limit);
      const last = page.at(-1) as { readonly page: number } | undefined;
      return {
        suggestions: page.map((row) => suggestionOf(recordSchema.parse(row))),
        ...(results.length > limit && last !== undefined ? { cursor: String(last.page) } : {}),
      };
    },
  };
  return store;
}
