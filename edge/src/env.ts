// What Hono carries through a request of this Worker.
import type { Caller } from "./auth/caller.ts";
import type { Bindings } from "./bindings.ts";
import type { RequestContext } from "./context.ts";

export interface Env {
  Bindings: Bindings;
  Variables: {
    context: RequestContext;
    /** Set on routes that need a key. */
    caller: Caller;
  };
}
