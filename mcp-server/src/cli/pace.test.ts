import { expect, test } from "vitest";
import { AppError } from "@blip2-edge/shared/problem";
import { createPace, reachOf } from "./pace.ts";

/** Time that passes only while somebody sleeps. */
function world(parallel: number, patienceMs = 300_000) {
  let at = 0;
  const waits: number[] = [];
  const pace = createPace({
    ...{ parallel, patienceMs },
    now: () => at,
    sleep: (ms) => {
      at += ms;
      return Promise.resolve();
    },
    random: () => 1,
    waits: (ms) => void waits.push(ms),
  });
  return { pace, waits, now: () => at };
}
const overloaded = (retryAfterS?: number) =>
  new AppError("overloaded", "", retryAfterS === undefined ? {} : { retryAfterS });

test("waits as long as it is told, and tries the same call again", async () => {
  const { pace, waits, now } = world(4);
  let left = 2;
  const done = await pace.run(() => {
    left -= 1;
    return left < 0 ? Promise.resolve("done") : Promise.reject(overloaded(7));
  });
  expect(done).toBe("done");
  expect(waits).toEqual([7000, 7000]);
  expect(now()).toBe(14_000);
});

test("waits longer each time where nothing is said, and gives up when patience is over", async () => {
  const { pace, waits, now } = world(1, 60_000);
  const refused = pace.run(() => Promise.reject(new AppError("api_unreachable", "")));
  await expect(refused).rejects.toMatchObject({ code: "api_unreachable" });
  expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000]);
  expect(now()).toBeLessThanOrEqual(60_000);
  // A wait that is longer than patience is not begun.
  const long = world(1, 60_000);
  const late = new AppError("quota_exceeded", "", { retryAfterS: 3600 });
  await expect(long.pace.run(() => Promise.reject(late))).rejects.toBe(late);
  expect(long.now()).toBe(0);
});

test("halves what runs at a time once for all that were refused together, and grows again slowly", async () => {
  const { pace, waits } = world(8);
  let [running, most] = [0, 0];
  const call = (fails: boolean) => async () => {
    running += 1;
    most = Math.max(most, running);
    await Promise.resolve();
    await Promise.resolve();
    running -= 1;
    if (fails && waits.length === 0) throw overloaded();
    return most;
  };
  const many = (count: number, fails: boolean) =>
    Promise.all(Array.from({ length: count }, () => pace.run(call(fails))));
  await many(8, true);
  expect(most).toBe(8);
  expect(waits).toHaveLength(1);
  most = 0;
  await many(60, false);
  expect(most).toBe(4);
  most = 0;
  await many(60, false);
  expect(most).toBe(5);
});

test("what concerns one call is tried three times, or not at all, and slows nobody", async () => {
  const { pace, waits } = world(2);
  const counted = async (error: AppError) => {
    let calls = 0;
    const failing = () => {
      calls += 1;
      return Promise.reject(error);
    };
    await expect(pace.run(failing)).rejects.toBe(error);
    return calls;
  };
  expect(await counted(new AppError("deadline_exceeded", ""))).toBe(3);
  expect(await counted(new AppError("image_corrupt", ""))).toBe(1);
  expect(await counted(new AppError("unauthorized", ""))).toBe(1);
  expect(waits).toEqual([]);
});

test("whom a failure concerns", () => {
  const reach = (...error: ConstructorParameters<typeof AppError>) =>
    reachOf(new AppError(...error));
  expect(reach("rate_limited", "", { retryAfterS: 3 })).toBe("all_for_now");
  expect(reach("quota_exceeded", "", { retryAfterS: 3 })).toBe("all_for_now");
  // More than the key may ever have.
  expect(reach("quota_exceeded", "")).toBe("all");
  expect(reach("index_full", "")).toBe("all");
  expect(reach("engine_restarted", "")).toBe("one_for_now");
  expect(reach("image_not_recognised", "")).toBe("one");
});
