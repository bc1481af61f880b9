import { AppError } from "@blip2-edge/shared/problem";
import { expect, test } from "vitest";
import { requestSignal } from "./context.ts";

const reason = (signal: AbortSignal): string =>
  signal.reason instanceof AppError ? signal.reason.code : String(signal.reason);

test("a caller that goes away aborts the request, and says so", () => {
  const client = new AbortController();
  const { signal, stop } = requestSignal(client.signal, 1000);
  expect(signal.aborted).toBe(false);
  client.abort();
  expect(reason(signal)).toBe("canceled");
  stop();
});

test("a caller that was gone before", () => {
  const { signal, stop } = requestSignal(AbortSignal.abort(), 1000);
  expect(reason(signal)).toBe("canceled");
  stop();
});

test("the time that is over aborts it; a stopped clock does not", async () => {
  const over = requestSignal(new AbortController().signal, 5);
  const stopped = requestSignal(new AbortController().signal, 5);
  stopped.stop();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(reason(over.signal)).toBe("deadline_exceeded");
  expect(stopped.signal.aborted).toBe(false);
});
