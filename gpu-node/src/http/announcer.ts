// The node says to the edge that it is there, what it serves and how full it is: at once when it is ready,
// then as often as the edge wants to hear it, at once when something happens, and a last time when it ends.
// Signed with the first key. An edge that does not listen harms nothing: the node tries again.
import { toProblem } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";
import {
  type Heartbeat,
  heartbeatPath,
  type HeartbeatResponse,
  heartbeatResponseSchema,
  heartbeatTag,
} from "@blip2-edge/shared/wire/heartbeat";
import { createSigner, type SigningKeys } from "@blip2-edge/shared/wire/signature";
import type { Log } from "../observe/log.ts";

export interface AnnouncerOptions {
  /** Base address of the Worker. */
  readonly edgeUrl: string;
  /** Where the edge reaches this node; asked once it begins. */
  readonly url: () => string;
  /** The first key signs. */
  readonly keys: SigningKeys;
  /** Hears what the edge answers, before the next heartbeat. */
  readonly onTold?: ((answer: HeartbeatResponse) => Promise<void>) | undefined;
  readonly describe: () => Pick<Heartbeat, "state" | "capacity" | "load" | "models">;
  readonly version: string;
  readonly log: Log;
  readonly fetch?: typeof globalThis.fetch;
  readonly now?: () => number;
  /** Until the edge says how often it wants to hear of the node, and between two tries. */
  readonly firstPauseMs?: number;
  readonly timeoutMs?: number;
  /** Calls `what` after so long; the answer cancels it. */
  readonly schedule?: (ms: number, what: () => void) => () => void;
}

export interface Announcer {
  /** Says it now, and again as often as the edge wants. */
  start(): void;
  /** Says it now: something has changed. */
  now(): void;
  /** Says for the last time that the node leaves; resolves when it is said, or the time for it is over. */
  leave(): Promise<void>;
}

const maxAnswerBytes = 65_536;
const byTimer = (ms: number, what: () => void): (() => void) => {
  const timer = setTimeout(what, ms);
  timer.unref();
  return () => clearTimeout(timer);
};

export function createAnnouncer(options: AnnouncerOptions): Announcer {
  const { edgeUrl, keys, describe, version, log, firstPauseMs = 1000, timeoutMs = 3000 } = options;
  const { fetch = globalThis.fetch, now = Date.now, schedule = byTimer } = options;
  const signer = createSigner({ keys, tag: heartbeatTag, now });
  const target = new URL(heartbeatPath, edgeUrl).href;
  const startedAt = now();
  let seq = 0;
  let pauseMs = firstPauseMs;
  let started = false;
  let left = false;
  let cancel: (() => void) | undefined;
  let heardOf: boolean | undefined;

  async function beat(state: Heartbeat["state"]): Promise<void> {
    seq += 1;
    const url = options.url();
    const heartbeat: Heartbeat = { ...describe(), state, url, version, started_at: startedAt, seq };
    const body = new TextEncoder().encode(JSON.stringify(heartbeat));
    const contentType = "application/json";
    try {
      const headers = await signer.sign({ method: "POST", url: target, contentType, body });
      const signal = AbortSignal.timeout(timeoutMs);
      const response = await fetch(target, {
        ...{ method: "POST", headers, body, signal },
        redirect: "error",
      });
      const read = await readBounded(response.body, maxAnswerBytes, signal);
      const text = read.ok ? new TextDecoder().decode(read.bytes) : "";
      if (!response.ok) throw new Error(`${response.status} ${text.slice(0, 500)}`);
      const answer = heartbeatResponseSchema.parse(JSON.parse(text));
      pauseMs = answer.next_ms;
      if (heardOf !== true) log.info("announced", { edge: edgeUrl, as: url, every_ms: pauseMs });
      heardOf = true;
      await options.onTold?.(answer);
    } catch (error) {
      if (heardOf !== false) {
        const reason = error instanceof Error ? error.message : toProblem(error).title;
        log.warn("announce_failed", { edge: edgeUrl, as: url, reason });
      }
      heardOf = false;
      // An edge that comes back hears of the node soon, whatever it once wanted.
      pauseMs = Math.min(pauseMs, firstPauseMs);
    }
  }
  function say(inMs: number): void {
    cancel?.();
    if (left) return;
    cancel = schedule(inMs, () => {
      cancel = undefined;
      void beatAndPlan();
    });
  }
  async function beatAndPlan(): Promise<void> {
    await beat(describe().state);
    // Unless something happened meanwhile, which is to be said at once.
    if (cancel === undefined) say(pauseMs);
  }

  return {
    start() {
      started = true;
      say(0);
    },
    now() {
      if (started) say(0);
    },
    async leave() {
      if (left) return;
      left = true;
      cancel?.();
      if (started) await beat("leaving");
    },
  };
}
