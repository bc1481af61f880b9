// What Hono carries through a request of this Worker.
import type { Caller } from "./auth/caller.ts";
import type { Bindings } from "./bindings.ts";
import type { RequestContext } from "./context.ts";
import type { Agent } from "./oauth/agent-callers.ts";
import type { Authority } from "./oauth/authority.ts";

export interface Env {
  Bindings: Bindings;
  Variables: {
    context: RequestContext;
    /**
     * The request is over when this is, not when its handler returns: what is still written of a streamed
     * answer. Its rejection is the request's failure.
     */
    lastsUntil: (work: Promise<unknown>) => void;
    /** Who signed the request's link, and until when it holds, Unix seconds (middleware/signed-link.ts). */
    signed?: { readonly by: Caller; readonly until: number };
    /** Set on routes that need a key. */
    caller: Caller;
    /** Set where a client asks that a person has let act for them. */
    agent?: Agent & { readonly authority: Authority };
    /** What WWW-Authenticate is to say when the request is refused. */
    challenge?: string;
  };
}
