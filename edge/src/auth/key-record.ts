// A key as table api_keys holds it, and what is made of it: who calls, and what the API tells about it.
import { scopes, type Key, type Scope } from "@blip2-edge/shared/contracts/keys";
import { z } from "zod";
import type { Caller } from "./caller.ts";

const list = z.string().transform((text) => text.split(" ").filter((entry) => entry !== ""));
const limit = z.number().nullable();
const time = z.number().nullable();

export const recordSchema = z.object({
  id: z.string(),
  prefix: z.string(),
  secret_hash: z.string(),
  previous_hash: z.string().nullable(),
  previous_until: time,
  tenant: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  name: z.string(),
  scopes: list,
  requests_per_minute: limit,
  inferences_per_day: limit,
  inferences_per_month: limit,
  concurrency: limit,
  fetch_allow: list,
  no_store: z.number().transform((value) => value !== 0),
  created_at: z.number(),
  expires_at: time,
  revoked_at: time,
  last_used_at: time,
});
export type KeyRecord = z.output<typeof recordSchema>;
export const recordColumns = Object.keys(recordSchema.shape).join(", ");

/** A scope that a later version of the Worker wrote is passed over. */
const isScope = (name: string): name is Scope => scopes.some((scope) => scope === name);

export const callerOf = (record: KeyRecord): Caller => ({
  keyId: record.id,
  tenant: record.tenant,
  scopes: record.scopes.filter(isScope),
  limits: {
    requestsPerMinute: record.requests_per_minute,
    inferencesPerDay: record.inferences_per_day,
    inferencesPerMonth: record.inferences_per_month,
    concurrency: record.concurrency,
  },
  fetchAllow: record.fetch_allow,
  noStore: record.no_store,
  isOperator: false,
});

const written = (at: number | null): string | null =>
  at === null ? null : new Date(at).toISOString();

/** Without a hash: what the API tells. */
export const keyOf = (record: KeyRecord): Key => ({
  id: record.id,
  prefix: record.prefix,
  tenant: record.tenant,
  name: record.name,
  scopes: record.scopes,
  limits: {
    requests_per_minute: record.requests_per_minute,
    inferences_per_day: record.inferences_per_day,
    inferences_per_month: record.inferences_per_month,
    concurrency: record.concurrency,
  },
  fetch_allow: record.fetch_allow,
  no_store: record.no_store,
  created_at: new Date(record.created_at).toISOString(),
  expires_at: written(record.expires_at),
  revoked_at: written(record.revoked_at),
  last_used_at: written(record.last_used_at),
  previous_secret_until: record.previous_hash === null ? null : written(record.previous_until),
});
