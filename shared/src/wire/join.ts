// How a box becomes a node: it gives the token that an operator made, and gets a key of its own for it. The proof is a
// number that the box alone knows: with it the same token gives the same key again, when the answer was lost.
import { z } from "zod";
import { nodeKeySchema } from "./heartbeat.ts";

export const joinPath = "/internal/nodes/join";
export const maxJoinBytes = 4096;

/** The form by which scanners and the log's redaction know a token: its id and what proves it, hex. */
export const joinTokenPattern = /^b2e_join_([0-9a-f]{16})([0-9a-f]{40})$/;

export const joinRequestSchema = z.strictObject({
  token: z.string().regex(joinTokenPattern, "must be a token for a node"),
  proof: z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hex digits"),
});
export type JoinRequest = z.infer<typeof joinRequestSchema>;

/** Read leniently, so that a newer edge may say more. */
export const joinResponseSchema = z.object({
  name: z.string().max(64),
  /** Where it may say that it is; a star in it stands for anything. */
  origin: z.string().max(300),
  key: nodeKeySchema,
});
export type JoinResponse = z.infer<typeof joinResponseSchema>;
