// The context of a request for unit tests of the Worker's rooms: nothing is logged, timed or kept.
import { noLimits } from "../../edge/src/auth/caller.ts";
import { servedReport } from "../../edge/src/cache/served.ts";
import { noWishes, type AuthenticatedContext } from "../../edge/src/context.ts";
import { pictureMemory } from "../../edge/src/images/picture-memory.ts";
import { hopRecord } from "../../edge/src/observe/hops.ts";
import { traceOf } from "../../edge/src/observe/trace.ts";
import { limitReport } from "../../edge/src/usage/limit-headers.ts";

export function requestContextOf({
  keyId = "k",
  tenant = "ada",
  startedAt = Date.now(),
  signal = new AbortController().signal,
}: {
  readonly keyId?: string;
  readonly tenant?: string;
  readonly startedAt?: number;
  readonly signal?: AbortSignal;
} = {}): AuthenticatedContext {
  const trace = traceOf(undefined, 0);
  return {
    ...{ requestId: "req_test", startedAt, signal, event: {}, trace, hops: hopRecord(trace) },
    ...{ limits: limitReport(), wishes: noWishes, served: servedReport() },
    remainingMs: () => 60_000,
    memory: pictureMemory({ maxBytes: 1e9, waitMs: 0 }).share(),
    later: (work) => void work.catch(() => {}),
    caller: {
      ...{ keyId, tenant, scopes: ["infer"], limits: noLimits, fetchAllow: [] },
      ...{ noStore: false, isOperator: false },
    },
  };
}
