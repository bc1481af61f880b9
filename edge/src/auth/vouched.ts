// Requests that the Worker makes of itself for somebody it has authenticated already, and who they are for. A request
// is known by being the very object that was vouched for, so nobody outside can make one.
import type { Caller } from "./caller.ts";

export interface Vouched {
  /** The same request, from then on known to come from this caller. */
  vouch(request: Request, caller: Caller): Request;
  callerOf(request: Request): Caller | undefined;
}

export function vouched(): Vouched {
  const callers = new WeakMap<Request, Caller>();
  return {
    vouch(request, caller) {
      callers.set(request, caller);
      return request;
    },
    callerOf: (request) => callers.get(request),
  };
}
