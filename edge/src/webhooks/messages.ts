// What travels in the queue about connections: a hint that one, or a backfill of one, may have something to do. Any may
// be lost, come twice or come late.
import { backfillIdSchema } from "@blip2-edge/shared/contracts/backfills";
import { connectionIdSchema } from "@blip2-edge/shared/contracts/connections";
import { z } from "zod";

export const connectionMessageSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("connection"), connection: connectionIdSchema }),
  z.object({ kind: z.literal("backfill"), backfill: backfillIdSchema }),
]);

export interface ConnectionQueue {
  send(
    message: z.infer<typeof connectionMessageSchema>,
    options?: { delaySeconds: number },
  ): Promise<unknown>;
}
