// /v1/keys: what a key is, may do and may spend. The secret is in the answer that makes it, and nowhere else.
import { z } from "zod";

/** What a key may be allowed; the route table says what a route needs. */
export const scopes = [
  "infer",
  "index",
  "search",
  "jobs",
  "connections",
  "review",
  "admin",
] as const;
export const scopeSchema = z.enum(scopes);
export type Scope = z.infer<typeof scopeSchema>;

/** Whoever manages the connections may review what they suggest. */
const includes: Partial<Readonly<Record<Scope, readonly Scope[]>>> = { connections: ["review"] };

/** Whether a key with these scopes may do what needs that one. */
export const mayDo = (has: readonly Scope[], needed: Scope): boolean =>
  has.some((scope) => scope === needed || includes[scope]?.includes(needed) === true);

export const tenantSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be 1 to 63 lower-case letters, digits and hyphens");

/** An id is 12 base62 digits; a key chosen by hand has one that begins with x (development only). */
export const keyIdSchema = z.string().regex(/^[0-9A-Za-z]{1,32}$/, "must be the id of a key");

const maxCount = 1_000_000_000;
const limit = z.int().min(1).max(maxCount).nullable().optional();

/** Null, or left out: no limit. */
const limitsRequestSchema = z.strictObject({
  requests_per_minute: limit,
  /** An inference is one text that a node is asked for, or one picture's vectors; days and months are UTC. */
  inferences_per_day: limit,
  inferences_per_month: limit,
  /** Calls of a node at a time. */
  concurrency: limit,
});

export const maxFetchAllow = 50;
const fetchAllowSchema = z
  .array(
    z
      .string()
      .max(300)
      .regex(
        /^((\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(:[1-9]\d{0,4})?$/,
        "must be a host in lower case, with or without a port, such as images.example.com:443 or *.example.com",
      ),
  )
  .max(maxFetchAllow);

const timeSchema = z.iso.datetime({ error: "must be a time such as 2030-01-31T12:00:00Z" });
const nameSchema = z.string().trim().min(1).max(100);
const scopeListSchema = z.array(scopeSchema).min(1).max(scopes.length);

const settableFields = {
  /** `infer` when left out. */
  scopes: scopeListSchema.optional(),
  limits: limitsRequestSchema.optional(),
  /** Where this key's picture URLs may point; empty: anywhere that the Worker fetches from. */
  fetch_allow: fetchAllowSchema.optional(),
  /** Nothing of this key's requests is kept. */
  no_store: z.boolean().optional(),
} as const;

export const createKeyRequestSchema = z.strictObject({
  name: nameSchema,
  /** For operators; an admin key makes keys of its own tenant. */
  tenant: tenantSchema.optional(),
  expires_at: timeSchema.optional(),
  ...settableFields,
});
export type CreateKeyRequest = z.infer<typeof createKeyRequestSchema>;

/** What is left out stays as it is; within `limits` too. */
export const updateKeyRequestSchema = z.strictObject({
  id: keyIdSchema,
  name: nameSchema.optional(),
  expires_at: timeSchema.nullable().optional(),
  ...settableFields,
});
export type UpdateKeyRequest = z.infer<typeof updateKeyRequestSchema>;

export const oneKeyRequestSchema = z.strictObject({ id: keyIdSchema });

const maxOverlapS = 30 * 86_400;
export const defaultOverlapS = 86_400;
export const rotateKeyRequestSchema = z.strictObject({
  id: keyIdSchema,
  /** How long the secret of before works beside the new one; a day when left out. */
  overlap_s: z.int().min(0).max(maxOverlapS).optional(),
});

export const listKeysQuerySchema = z.strictObject({
  /** For operators: one tenant's keys instead of all. */
  tenant: tenantSchema.optional(),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, "must be the cursor of an answer")
    .optional(),
});

const limitsSchema = z.object({
  requests_per_minute: z.number().nullable(),
  inferences_per_day: z.number().nullable(),
  inferences_per_month: z.number().nullable(),
  concurrency: z.number().nullable(),
});

const keyFields = {
  id: z.string(),
  /** What a key begins with, to tell it apart from others. */
  prefix: z.string(),
  tenant: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  limits: limitsSchema,
  fetch_allow: z.array(z.string()),
  no_store: z.boolean(),
  created_at: z.string(),
  expires_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
  /** To the minute. */
  last_used_at: z.string().nullable(),
  /** Until when the secret before the last rotation still works. */
  previous_secret_until: z.string().nullable(),
} as const;

export const keySchema = z.object(keyFields);
export type Key = z.infer<typeof keySchema>;

/** The only answer with the secret in it: `key` is what goes into the Authorization header. */
export const keyWithSecretSchema = z.object({ key: z.string(), ...keyFields });
export type KeyWithSecret = z.infer<typeof keyWithSecretSchema>;

export const keyListSchema = z.object({
  keys: z.array(keySchema),
  /** Where the next page begins; absent on the last. */
  cursor: z.string().optional(),
});
export type KeyList = z.infer<typeof keyListSchema>;
