// What a node says of itself to the edge, every few seconds, and what it is answered. Signed as requests
// to nodes are (wire/signature.ts), in the other direction and under another tag, so that neither can be
// taken for the other. Read leniently, so that a newer node may say more.
import { z } from "zod";
import { catalogModelSchema } from "./protocol.ts";

export const heartbeatPath = "/internal/nodes/heartbeat";
export const heartbeatTag = "blip2-edge/heartbeat";
/** A heartbeat of a hundred models is far below it. */
export const maxHeartbeatBytes = 131_072;

export const heartbeatSchema = z.object({
  /** Where the edge reaches the node: an origin, that the edge's settings allow to the key. */
  url: z.url({ protocol: /^https?$/ }).max(300),
  version: z.string().max(100),
  /** When the node's process began, in milliseconds of its clock: another one is another process. */
  started_at: z.int().min(0),
  /** Counts the heartbeats of one process; none is taken twice, nor after a later one. */
  seq: z.int().min(1),
  /** `leaving` is the last one. */
  state: z.enum(["ready", "not_ready", "leaving"]),
  capacity: z.object({
    /** How much work it can do beside other nodes: 2 gets twice as many pictures as 1. */
    weight: z.number().min(0.01).max(1000),
    max_jobs: z.int().min(1),
    max_work_ms: z.number().min(0),
  }),
  /** What was let in and is not done. */
  load: z.object({ jobs: z.int().min(0), work_ms: z.number().min(0) }),
  models: z.array(catalogModelSchema).max(100),
});
export type Heartbeat = z.infer<typeof heartbeatSchema>;

/** A signing key as it is told to the node whose it is. */
export const nodeKeySchema = z.object({
  id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  secret: z.string().min(32).max(200),
});
export type NodeKey = z.infer<typeof nodeKeySchema>;

export const heartbeatResponseSchema = z.object({
  /** When the next one is to come. */
  next_ms: z.int().min(100).max(600_000),
  /** Of a node that joined: its keys that hold, the newest first. What is no longer among them it forgets. */
  key_ids: z.array(z.string().max(64)).max(4).optional(),
  /** The newest of them, as long as another signs: it is to sign with this one. */
  new_key: nodeKeySchema.optional(),
  /** It was sent away: it is to finish what it has, and end. */
  leave: z.boolean().optional(),
});
export type HeartbeatResponse = z.infer<typeof heartbeatResponseSchema>;
