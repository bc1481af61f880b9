// What travels in the queue about connections: a hint that one may have something to do. Any may be lost, come
// twice or come late.
import { connectionIdSchema } from "@blip2-edge/shared/contracts/connections";
import { z } from "zod";

export const connectionMessageSchema = z.object({
  kind: z.literal("connection"),
  connection: connectionIdSchema,
});

export interface ConnectionQueue {
  send(
    message: z.infer<typeof connectionMessageSchema>,
    options?: { delaySeconds: number },
  ): Promise<unknown>;
}
