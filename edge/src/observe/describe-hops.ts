// The hops of a request, and what nodes said of their own stages, as fields of its log line.
import type { LogEvent } from "../log.ts";
import { hopTimes, nodeTimes, type Hop } from "./hops.ts";
import { roundMs } from "./server-timing.ts";

export function describeHops(event: LogEvent, hops: readonly Hop[]): void {
  for (const [name, ms] of hopTimes(hops)) event[`${name}_ms`] = roundMs(ms);
  for (const [stage, ms] of nodeTimes(hops)) event[`node_${stage}_ms`] = roundMs(ms);
}
