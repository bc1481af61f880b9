import { expect, test } from "vitest";
import { writeUsagePoint, type UsagePoints } from "./data-point.ts";

type Point = Parameters<UsagePoints["writeDataPoint"]>[0];
function pointOf(event: Parameters<typeof writeUsagePoint>[1]): Point | undefined {
  const points: Point[] = [];
  writeUsagePoint({ writeDataPoint: (point) => void points.push(point) }, event);
  return points[0];
}

test("a request is one point: whose it was, how it went, what it cost", () => {
  const point = pointOf({
    ...{ event: "request", tenant: "ada", key_id: "abc", route: "caption", model: "nano" },
    ...{ cache: "miss", status: 200, duration_ms: 12, inferences: 2, image_bytes: 3000 },
    ...{ internal: "not told", image_host: "not.told", request_id: "not told" },
  });
  expect(point).toEqual({
    indexes: ["abc"],
    blobs: ["ada", "abc", "caption", "nano", "miss", "", ""],
    doubles: [200, 12, 2, 0, 3000, 0, 0, 0],
  });
});

test("a request without a valid key is none", () => {
  expect(pointOf({ route: "caption", status: 401, problem: "unauthorized" })).toBeUndefined();
});
