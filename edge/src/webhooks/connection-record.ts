// A connection as table connections holds it, what it is told to do once defaults are filled in, and what the
// API tells of it.
import {
  connectionKinds,
  connectionModes,
  defaultMaxLength,
  defaultMaxTags,
  defaultMinItm,
  defaultSweepS,
  pictureTypes,
  words,
  type Connection,
  type ConnectionKind,
  type ConnectionOptions,
  type Word,
} from "@blip2-edge/shared/contracts/connections";
import { z } from "zod";
import type { Targets } from "./adapter.ts";
import { adapters } from "./adapters.ts";

const fromJson = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .string()
    .transform((stored): unknown => JSON.parse(stored))
    .pipe(schema);
const field = z.string().nullable().optional();

/** As they were asked for; what a later Worker wrote besides is passed over. */
export const storedOptionsSchema = z.object({
  mode: z.enum(connectionModes).optional(),
  model: z.string().optional(),
  prompt: z.string().nullable().optional(),
  fields: z.object({ alt: field, caption: field, tags: field }).optional(),
  only_if_empty: z.boolean().optional(),
  max_length: z.number().optional(),
  glossary: z.array(z.object({ from: z.string(), to: z.string() })).optional(),
  decorative: z.array(z.string()).optional(),
  types: z.array(z.string()).optional(),
  min_log_prob: z.number().nullable().optional(),
  min_itm: z.number().nullable().optional(),
  vocabulary: z.array(z.string()).optional(),
  max_tags: z.number().optional(),
  sweep_every_s: z.number().nullable().optional(),
});
export type StoredOptions = z.infer<typeof storedOptionsSchema>;

export const connectionRecordSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  key_id: z.string(),
  name: z.string(),
  kind: z.enum(connectionKinds),
  base_url: z.string(),
  allow_private: z.number().transform((value) => value !== 0),
  options: fromJson(storedOptionsSchema),
  token: z.string(),
  webhook_secret: z.string(),
  previous_secret: z.string().nullable(),
  previous_until: z.number().nullable(),
  created_at: z.number(),
  updated_at: z.number(),
  sweep_due_at: z.number().nullable(),
  sweep_cursor: z.string().nullable(),
  swept_at: z.number().nullable(),
  paused_until: z.number(),
  paused_reason: z.string().nullable(),
});
export type ConnectionRecord = z.output<typeof connectionRecordSchema>;
export const connectionColumns = Object.keys(connectionRecordSchema.shape).join(", ");

/** Null: the adapter's usual field; undefined fields of the request stay out. */
function fieldOf(kind: ConnectionKind, word: Word, { fields = {} }: StoredOptions): string | null {
  const asked = fields[word];
  return asked === undefined ? (adapters[kind].targets[word]?.preset ?? null) : asked;
}

export const optionsOf = (kind: ConnectionKind, stored: StoredOptions): ConnectionOptions => ({
  mode: stored.mode ?? "suggest",
  model: stored.model ?? null,
  prompt: stored.prompt ?? null,
  fields: {
    alt: fieldOf(kind, "alt", stored),
    caption: fieldOf(kind, "caption", stored),
    tags: fieldOf(kind, "tags", stored),
  },
  only_if_empty: stored.only_if_empty ?? true,
  max_length: stored.max_length ?? defaultMaxLength,
  glossary: stored.glossary ?? [],
  decorative: stored.decorative ?? [],
  types: stored.types ?? [...pictureTypes],
  min_log_prob: stored.min_log_prob,
  min_itm: stored.min_itm === undefined ? defaultMinItm : stored.min_itm,
  vocabulary: stored.vocabulary ?? [],
  max_tags: stored.max_tags ?? defaultMaxTags,
  sweep_every_s: stored.sweep_every_s === undefined ? defaultSweepS : stored.sweep_every_s,
});

export const targetsOf = ({ fields }: Pick<ConnectionOptions, "fields">): Targets =>
  Object.fromEntries(
    words.flatMap((word) => (fields[word] === null ? [] : [[word, fields[word]] as const])),
  );

const webhookPath = (id: string): string => `/v1/webhooks/${id}`;
const written = (at: number | null): string | null =>
  at === null ? null : new Date(at).toISOString();

/** Without a secret: what the API tells. */
export const connectionOf = (record: ConnectionRecord, now = Date.now()): Connection => ({
  id: record.id,
  name: record.name,
  kind: record.kind,
  base_url: record.base_url,
  allow_private: record.allow_private,
  key_id: record.key_id,
  webhook_path: webhookPath(record.id),
  ...optionsOf(record.kind, record.options),
  created_at: new Date(record.created_at).toISOString(),
  updated_at: new Date(record.updated_at).toISOString(),
  previous_secret_until: record.previous_secret === null ? null : written(record.previous_until),
  swept_at: written(record.swept_at),
  ...(record.paused_until > now && record.paused_reason !== null
    ? {
        paused: {
          reason: record.paused_reason,
          until: new Date(record.paused_until).toISOString(),
        },
      }
    : {}),
});
