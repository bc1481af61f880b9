// /v1/nodes, for operators: which machines there are, the tokens with which new ones join, new keys for them, and their
// end. A token and a key are told once; neither is stored.
import { z } from "zod";

/** The first part of the ids of its keys. */
const nodeNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,40}$/, "must be 1 to 41 lower-case letters, digits and hyphens");

export const defaultTokenS = 3600;
export const createNodeTokenRequestSchema = z.strictObject({
  name: nodeNameSchema,
  /**
   * Where the node may say that it is: an origin, in which a star may stand for the first label of the host, and for
   * the port.
   */
  origin: z.string().min(1).max(300),
  expires_in_s: z.int().min(60).max(86_400).optional(),
});
export type CreateNodeTokenRequest = z.infer<typeof createNodeTokenRequestSchema>;

/** The only answer with the token in it. */
export const nodeTokenSchema = z.object({
  token: z.string(),
  name: z.string(),
  origin: z.string(),
  expires_at: z.string(),
});
export type NodeToken = z.infer<typeof nodeTokenSchema>;

export const oneNodeRequestSchema = z.strictObject({ name: nodeNameSchema });

export const defaultNodeOverlapS = 3600;
export const rotateNodeRequestSchema = z.strictObject({
  name: nodeNameSchema,
  /** How long the key of before holds once the node uses the new one; an hour when left out. */
  overlap_s: z.int().min(0).max(86_400).optional(),
});

export const nodeSchema = z.object({
  /** Of a node that announces itself with a key of NODE_KEYS, the key's id; of one that NODE_URL lists, its address. */
  name: z.string(),
  /** How it came to be known: it joined, its key stands in ANNOUNCE_ORIGINS, or its address in NODE_URL. */
  by: z.enum(["token", "announce_origins", "node_url"]),
  /** Where it may say that it is; null where the settings say it. */
  origin: z.string().nullable(),
  /** Keys that hold, the newest first. */
  key_ids: z.array(z.string()),
  joined_at: z.string().nullable(),
  /** The last that was heard of it; all of it null when nothing was. */
  url: z.string().nullable(),
  /** With which of its keys it signs. */
  key_id: z.string().nullable(),
  heard_at: z.string().nullable(),
  /** `gone`: no heartbeat came in time, or it has said that it leaves. */
  state: z.enum(["ready", "not_ready", "gone"]).nullable(),
  version: z.string().nullable(),
  weight: z.number().nullable(),
  jobs: z.number().nullable(),
  models: z.array(z.object({ model: z.string(), model_revision: z.string() })),
});
export type Node = z.infer<typeof nodeSchema>;

/** All of them: there are some hundreds at most. */
export const nodeListSchema = z.object({ nodes: z.array(nodeSchema) });
