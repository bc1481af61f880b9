// /v1/grants: what people have let clients do for them at /mcp, by OAuth. A grant belongs to a key, may do at most
// what the key may, and ends with it; the tokens that stand for it are told to the client alone.
import { z } from "zod";
import { keyIdSchema, tenantSchema, type Scope } from "./keys.ts";

/** What a client can be let do: what the tools need, and nothing that manages or spends in bulk. */
export const agentScopes = ["infer", "search", "index"] as const satisfies readonly Scope[];
export type AgentScope = (typeof agentScopes)[number];

export const grantIdPattern = /^grt_[0-9a-f]{32}$/;
const grantIdSchema = z.string().regex(grantIdPattern, "must be the id of a grant");

export const oneGrantRequestSchema = z.strictObject({ id: grantIdSchema });

export const listGrantsQuerySchema = z.strictObject({
  /** For operators: one tenant's grants instead of all. */
  tenant: tenantSchema.optional(),
  /** One key's grants. */
  key_id: keyIdSchema.optional(),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, "must be the cursor of an answer")
    .optional(),
});

export const grantSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  /** Whose quotas and rates it spends. */
  key_id: z.string(),
  client_id: z.string(),
  /** As the client calls itself: whoever wrote it, nobody has checked it. */
  client_name: z.string(),
  /** Where the person was sent back to, with the grant. */
  redirect_host: z.string(),
  scopes: z.array(z.string()),
  /** By what the person who agreed was known: they held the key, or Cloudflare Access vouched for them. */
  proof: z.enum(["key", "access"]),
  /** Their address, where Access says it. */
  person: z.string().nullable(),
  created_at: z.string(),
  /** When the client last got a token; null: it never came for one. */
  refreshed_at: z.string().nullable(),
  /** It lives on when the client comes for a token before. */
  expires_at: z.string(),
  revoked_at: z.string().nullable(),
});
export type Grant = z.infer<typeof grantSchema>;

export const grantListSchema = z.object({
  grants: z.array(grantSchema),
  /** Where the next page begins; absent on the last. */
  cursor: z.string().optional(),
});
export type GrantList = z.infer<typeof grantListSchema>;
