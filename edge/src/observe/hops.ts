// How long each hop of a request took: the one record that its log line, its Server-Timing header and its
// spans are made of. It holds names, times and counts; no text, no address, no id of a picture. Bounded.
import { formatTraceparent } from "@blip2-edge/shared/wire/traceparent";
import { readServerTiming } from "./server-timing.ts";
import { randomHex, type RandomHex, type RequestTrace } from "./trace.ts";

/** What can take time on the way, in the order in which it mostly comes (docs/edge-observability.md). */
export const hopNames = [
  "auth",
  "body",
  "catalog",
  "fetch",
  "decode",
  "lookup",
  "wait",
  "quota",
  "node",
  "store",
] as const;
export type HopName = (typeof hopNames)[number];

export interface Hop {
  readonly name: HopName;
  readonly spanId: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly failed: boolean;
  /** Of an exchange with a node: how it was answered, and what it says of its own stages. */
  readonly status?: number;
  readonly nodeMs?: Readonly<Record<string, number>>;
}

/** A hop that is under way. */
export interface OpenHop {
  /** For whoever is asked in it. */
  readonly traceparent: string;
  /** Hears how an exchange was answered. */
  answered(status: number, serverTiming: string | null): void;
}

export interface Hops {
  time<Result>(name: HopName, work: (hop: OpenHop) => Promise<Result>): Promise<Result>;
  readonly done: readonly Hop[];
}

/** A batch of many pictures makes many; those beyond are timed by their request alone. */
const maxHops = 256;

export function hopRecord(
  trace: RequestTrace,
  now: () => number = Date.now,
  random: RandomHex = randomHex,
): Hops {
  const done: Hop[] = [];
  return {
    done,
    async time(name, work) {
      const spanId = random(16);
      const startMs = now();
      let told: Pick<Hop, "status" | "nodeMs"> = {};
      let failed = true;
      try {
        const result = await work({
          traceparent: formatTraceparent({ ...trace, spanId }),
          answered(status, serverTiming) {
            told = { status, nodeMs: readServerTiming(serverTiming) };
          },
        });
        failed = false;
        return result;
      } finally {
        if (done.length < maxHops) {
          done.push({ name, spanId, startMs, endMs: now(), failed, ...told });
        }
      }
    },
  };
}

/** Of each hop that there was, the time in which at least one of its name was under way, in milliseconds. */
export function hopTimes(hops: readonly Hop[]): Map<HopName, number> {
  const times = new Map<HopName, number>();
  for (const name of hopNames) {
    const own = hops.filter((hop) => hop.name === name).toSorted((a, b) => a.startMs - b.startMs);
    if (own.length === 0) continue;
    let [covered, until] = [0, -Infinity];
    for (const { startMs, endMs } of own) {
      covered += Math.max(0, endMs - Math.max(startMs, until));
      until = Math.max(until, endMs);
    }
    times.set(name, covered);
  }
  return times;
}

/** What nodes said of their own stages, summed over the exchanges. */
export function nodeTimes(hops: readonly Hop[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const { nodeMs = {} } of hops) {
    for (const [stage, ms] of Object.entries(nodeMs))
      times.set(stage, (times.get(stage) ?? 0) + ms);
  }
  return times;
}
