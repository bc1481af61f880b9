import { AppError } from "@blip2-edge/shared/problem";
import { heartbeat, type InferEvent } from "@blip2-edge/shared/wire/events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createEventStream } from "./event-stream.ts";

beforeEach(
  () =>
    void vi.useFakeTimers({
      toFake: ["setTimeout", "setInterval", "clearTimeout", "clearInterval"],
    }),
);
afterEach(() => void vi.useRealTimers());

const last: InferEvent = { event: "problem", error: new AppError("overloaded", "") };
function open(options: { heartbeatMs?: number; stallMs?: number } = {}) {
  const onGone = vi.fn();
  const stream = createEventStream({ onGone, ...options });
  const reader = stream.body.getReader();
  const decoder = new TextDecoder();
  const next = async (): Promise<string | undefined> => {
    const { value, done } = await reader.read();
    return done ? undefined : decoder.decode(value);
  };
  return { stream, reader, next, onGone };
}
const textOf = (chunk: string | undefined) => /"text":"([^"]*)"/.exec(chunk ?? "")?.[1];

describe("an event stream", () => {
  test("hands over each event as it comes while it is read", async () => {
    const { stream, next } = open();
    const first = next();
    stream.text(0, "a");
    expect(await first).toBe('event: text\ndata: {"index":0,"text":"a"}\n\n');
    stream.text(1, "b");
    expect(textOf(await next())).toBe("b");
    const ended = stream.end(last);
    expect(await next()).toMatch(/^event: problem\n/);
    await ended;
    expect(await next()).toBeUndefined();
  });

  test("keeps one event a text for a reader who is slow, and loses nothing", async () => {
    const { stream, next } = open();
    for (const text of ["a", "b", "c", "d"]) stream.text(0, text);
    stream.text(1, "x");
    stream.text(1, "y");
    void stream.end(last);
    const chunks = [];
    for (let chunk = await next(); chunk !== undefined; chunk = await next()) chunks.push(chunk);
    expect(chunks.map(textOf)).toEqual(["a", "bcd", "xy", undefined]);
  });

  test("beats while nothing is said, and only then", async () => {
    const { stream, next } = open({ heartbeatMs: 1000 });
    const beat = next();
    await vi.advanceTimersByTimeAsync(1000);
    expect(await beat).toBe(heartbeat);
    void stream.end(last);
    await next();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a reader who leaves is told of once; what comes after is nothing", async () => {
    const { stream, reader, onGone } = open();
    await reader.cancel();
    stream.text(0, "a");
    await stream.end(last);
    expect(onGone).toHaveBeenCalledOnce();
    expect(onGone.mock.calls[0]?.[0]).toMatchObject({ code: "canceled" });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a reader who takes nothing for long is gone", async () => {
    const { stream, next, onGone } = open({ stallMs: 1000 });
    stream.text(0, "a");
    stream.text(0, "b");
    await vi.advanceTimersByTimeAsync(999);
    expect(textOf(await next())).toBe("a");
    stream.text(0, "c");
    stream.text(0, "d");
    await vi.advanceTimersByTimeAsync(999);
    expect(onGone).not.toHaveBeenCalled();
    const ended = stream.end(last);
    await vi.advanceTimersByTimeAsync(1);
    expect(onGone).toHaveBeenCalledOnce();
    await ended;
    await expect(next()).rejects.toMatchObject({ code: "canceled" });
    expect(vi.getTimerCount()).toBe(0);
  });
});
