import { expect, test } from "vitest";
import { inferCall } from "./calls.ts";
import { latencyKind } from "./latency-kind.ts";

const asked = {
  ...{ model: "m", model_revision: "0".repeat(16), partition: "0".repeat(32), deadline_ms: 1 },
  image: { image_id: `img_${"a".repeat(64)}`, size: 14 },
};
const kind = (
  more: { texts?: null[]; generation?: Record<string, number>; model?: string } = {},
  how = { withPixels: false, streams: false },
) => latencyKind(inferCall, { ...asked, texts: [null], generation: {}, ...more }, how);

test("calls of about the same work are of one kind, others are not", () => {
  expect(kind({ generation: { max_new_tokens: 22 } })).toBe(kind());
  const kinds = [
    kind(),
    kind({ texts: [null, null, null, null] }),
    kind({ generation: { num_beams: 5 } }),
    kind({ generation: { max_new_tokens: 200 } }),
    kind({ model: "n" }),
    kind({}, { withPixels: true, streams: false }),
    kind({}, { withPixels: false, streams: true }),
  ];
  expect(new Set(kinds).size).toBe(kinds.length);
  const streamed = { withPixels: false, streams: true };
  expect(kind({ generation: { max_new_tokens: 200 } }, streamed)).toBe(kind({}, streamed));
});
