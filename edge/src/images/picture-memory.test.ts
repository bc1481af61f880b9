import { describe, expect, test } from "vitest";
import { pictureMemory } from "./picture-memory.ts";

const never = new AbortController().signal;
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A clock that moves when someone sleeps. */
function clock() {
  let at = 0;
  return {
    now: () => at,
    sleep: (ms: number) => {
      at += ms / 10;
      return tick();
    },
    advance: (ms: number) => void (at += ms),
  };
}

describe("files", () => {
  test("take a third at most, and all are read in the end", async () => {
    const memory = pictureMemory({ maxBytes: 800, waitMs: 60_000, leaseMs: 1e9, ...clock() });
    let reading = 0;
    let most = 0;
    const one = async (bytes: number) => {
      const share = memory.share();
      await share.hold(bytes, never);
      reading += bytes;
      most = Math.max(most, reading);
      await tick();
      reading -= bytes;
      share.keep(0);
    };
    await Promise.all(Array.from({ length: 30 }, (_, index) => one(40 + (index % 5) * 20)));
    expect(most).toBeLessThanOrEqual(267);
    expect(most).toBeGreaterThan(150);
    expect(memory.highWaterBytes()).toBe(most);
    expect(memory.heldBytes()).toBe(0);
  });

  test("the first may be larger than that; who does not come in is told when to come again", async () => {
    const memory = pictureMemory({ maxBytes: 800, waitMs: 0 });
    const [large, small] = [memory.share(), memory.share()];
    await large.hold(500, never);
    await expect(small.hold(1, never)).rejects.toMatchObject({
      code: "overloaded",
      retryAfterS: 1,
    });
    large.keep(100);
    await small.hold(166, never);
    await expect(small.hold(1, never)).rejects.toMatchObject({ code: "overloaded" });
    expect(memory.heldBytes()).toBe(266);
  });

  test("none comes in while a picture waits to be decoded", async () => {
    const time = clock();
    const memory = pictureMemory({ maxBytes: 800, waitMs: 1000, leaseMs: 1e9, ...time });
    const [reader, large, late] = [memory.share(), memory.share(), memory.share()];
    await reader.hold(100, never);
    await large.hold(100, never);
    const order: string[] = [];
    const decoded = large.spend(750, never, async () => {
      order.push("decoded");
    });
    const read = late.hold(10, never).then(() => order.push("read"));
    await tick();
    expect(order).toEqual([]);
    reader.keep(0);
    await decoded;
    large.keep(0);
    await read;
    expect(order).toEqual(["decoded", "read"]);
  });
});

describe("work", () => {
  test("never needs more than there is beside what others hold, however many ask", async () => {
    const memory = pictureMemory({ maxBytes: 1000, waitMs: 1e6, leaseMs: 1e9, ...clock() });
    let done = 0;
    const one = async (file: number, need: number) => {
      const share = memory.share();
      await share.hold(file, never);
      await tick();
      await share.spend(need, never, async () => {
        await tick();
        done += 1;
      });
      share.keep(0);
    };
    await Promise.all(
      Array.from({ length: 40 }, (_, index) => one(20 + (index % 4) * 20, 200 + (index % 3) * 200)),
    );
    expect(done).toBe(40);
    expect(memory.highWaterBytes()).toBeLessThanOrEqual(1000);
    expect(memory.highWaterBytes()).toBeGreaterThan(600);
    expect(memory.heldBytes()).toBe(0);
  });

  test("what a codec keeps counts while nobody works", async () => {
    const memory = pictureMemory({ maxBytes: 1000, waitMs: 0, idleBytes: () => 300 });
    const share = memory.share();
    await share.hold(50, never);
    expect(memory.heldBytes()).toBe(350);
    await share.spend(600, never, async () => {
      expect(memory.heldBytes()).toBe(600);
    });
    expect(memory.heldBytes()).toBe(350);
  });

  test("what is spare stays beside work, and goes where it is in the way", async () => {
    let spare = 300;
    const memory = pictureMemory({
      ...{ maxBytes: 1000, waitMs: 0 },
      spare: { bytes: () => spare, drop: () => void (spare = 0) },
    });
    const [share, other] = [memory.share(), memory.share()];
    await other.hold(50, never);
    await share.spend(600, never, async () => {
      expect(memory.heldBytes()).toBe(950);
    });
    await share.spend(700, never, async () => {
      expect(memory.heldBytes()).toBe(750);
    });
    expect(spare).toBe(0);
  });

  test("two that wait for each other: the younger gives way at once", async () => {
    const memory = pictureMemory({ maxBytes: 1000, waitMs: 1e9, leaseMs: 1e9, ...clock() });
    const [older, younger] = [memory.share(), memory.share()];
    await older.hold(150, never);
    await younger.hold(150, never);
    const first = older.spend(950, never, () => Promise.resolve("decoded"));
    const second = younger.spend(950, never, () => Promise.resolve("decoded"));
    await expect(second).rejects.toMatchObject({ code: "overloaded", retryAfterS: 1 });
    younger.keep(0);
    expect(await first).toBe("decoded");
  });

  test("one that needs more than there is runs alone", async () => {
    const memory = pictureMemory({ maxBytes: 100, waitMs: 0 });
    const [one, other] = [memory.share(), memory.share()];
    await one.spend(500, never, async () => {
      await expect(other.spend(1, never, () => Promise.resolve())).rejects.toMatchObject({
        code: "overloaded",
      });
    });
  });

  test("a failure frees its bytes; a caller that is gone does not wait", async () => {
    const memory = pictureMemory({ maxBytes: 100, waitMs: 1000 });
    const share = memory.share();
    await expect(
      share.spend(100, never, () => Promise.reject(new Error("broken"))),
    ).rejects.toThrow("broken");
    const gone = AbortSignal.abort(new Error("gone"));
    await share.spend(100, never, async () => {
      await expect(memory.share().spend(1, gone, () => Promise.resolve())).rejects.toThrow("gone");
    });
    expect(memory.heldBytes()).toBe(0);
  });

  test("a request that vanished does not keep its share", async () => {
    const time = clock();
    const memory = pictureMemory({ maxBytes: 100, waitMs: 0, leaseMs: 50, ...time });
    await memory.share().hold(30, never);
    void memory.share().spend(70, never, () => new Promise(() => {}));
    const share = memory.share();
    await expect(share.spend(100, never, () => Promise.resolve())).rejects.toThrow();
    time.advance(50);
    await share.spend(100, never, () => Promise.resolve());
  });
});
