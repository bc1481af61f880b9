// A node whose stages take times that were thought up, for tests of the capacity simulator.
import { nodeProfileSchema, type NodeProfile } from "../../infra/capacity/node-profile.ts";

export const timedProfile = (more: object = {}): NodeProfile =>
  nodeProfileSchema.parse({
    format: "blip2-edge/node-profile/v1",
    source: "a test",
    look_ms: [
      [1, 90],
      [8, 480],
    ],
    prefill_ms: [
      [33, 40],
      [231, 210],
    ],
    step_ms: [
      [1, 12],
      [8, 20],
      [16, 32],
    ],
    ...more,
  });
