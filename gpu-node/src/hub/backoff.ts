// When to try again: after dropped connections, stalls and passing troubles, with growing pauses or
// the one that the hub asks for; not after refusals. Attempts that brought nothing are counted.
import { AppError } from "@blip2-edge/shared/problem";
import type { HubTools } from "./hub-request.ts";

const maxFruitless = 5;
const firstPauseMs = 500;
const longestPauseMs = 8000;
/** A hub that wants a longer pause is reported rather than waited for. */
const maxAskedPauseS = 120;

/** Ends a transfer that gives no sign of life; `touch` is the sign. */
export function watchForStall(signal: AbortSignal, timeoutMs: number) {
  const stall = new AbortController();
  const give = () => stall.abort(new Error(`nothing arrived for ${timeoutMs / 1000} s`));
  let timer = setTimeout(give, timeoutMs);
  return {
    signal: AbortSignal.any([signal, stall.signal]),
    touch(): void {
      clearTimeout(timer);
      timer = setTimeout(give, timeoutMs);
    },
    end: (): void => clearTimeout(timer),
  };
}

/** undici says "fetch failed" and "terminated"; the reason is the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return cause instanceof Error ? cause.message || code || error.message : error.message;
}

export function startBackoff(
  what: string,
  tools: HubTools,
  signal: AbortSignal,
  { log = (_line: string): void => undefined, advice = "Try again later." } = {},
) {
  let fruitless = 0;
  return {
    /** An attempt brought something: the count begins anew. */
    progressed(): void {
      fruitless = 0;
    },
    /** Waits after a failed attempt. Throws instead when another one would not help. */
    async pause(error: unknown): Promise<void> {
      signal.throwIfAborted();
      if (error instanceof AppError && error.code !== "hub_unavailable") throw error;
      fruitless += 1;
      const reason = error instanceof AppError ? error.detail : `${what}: ${reasonOf(error)}.`;
      const askedS = error instanceof AppError ? error.retryAfterS : undefined;
      if (fruitless >= maxFruitless || (askedS ?? 0) > maxAskedPauseS) {
        if (error instanceof AppError) throw error;
        const detail = `${reason} Tried ${fruitless} times. ${advice}`;
        throw new AppError("hub_unavailable", detail, { cause: error });
      }
      const growing = Math.min(longestPauseMs, firstPauseMs * 2 ** (fruitless - 1));
      const pauseMs = askedS === undefined ? growing * (0.5 + tools.random() / 2) : askedS * 1000;
      log(`${reason} Trying again in ${Math.max(1, Math.round(pauseMs / 1000))} s.`);
      await tools.wait(pauseMs, signal);
    },
  };
}

/** The result of the first attempt that succeeds. Errors: those of `pause`. */
export async function withRetries<T>(
  what: string,
  tools: HubTools,
  signal: AbortSignal,
  attempt: () => Promise<T>,
): Promise<T> {
  const backoff = startBackoff(what, tools, signal);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      await backoff.pause(error);
    }
  }
}
