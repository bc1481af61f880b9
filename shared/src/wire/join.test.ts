// Replays the messages with which a node joins, gets a new key and is sent away. When one of these fails, old edges and
// old nodes break: the code is wrong, not the golden.
import { expect, test } from "vitest";
import golden from "./golden/join-1.json" with { type: "json" };
import { heartbeatResponseSchema } from "./heartbeat.ts";
import { joinPath, joinRequestSchema, joinResponseSchema } from "./join.ts";

test("joining is as it was", () => {
  expect(joinPath).toBe("/internal/nodes/join");
  expect(joinRequestSchema.parse(golden.request)).toEqual(golden.request);
  expect(joinResponseSchema.parse({ ...golden.response, more: 1 })).toEqual(golden.response);
});

test.each([golden.heartbeat_response_rotating, golden.heartbeat_response_sent_away])(
  "so is what a heartbeat is answered: %o",
  (answer) => {
    expect(heartbeatResponseSchema.parse({ ...answer, more: 1 })).toEqual(answer);
  },
);

test.each([
  { ...golden.request, token: "b2e_join_0011" },
  { ...golden.request, proof: "00" },
  { ...golden.request, name: "gpu-2" },
])("what is no request is none: %o", (request) => {
  expect(joinRequestSchema.safeParse(request).success).toBe(false);
});
