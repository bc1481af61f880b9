// One request to the hub with redirects followed by hand: the token goes to the host it was meant for
// and to no other, and https never falls back to http.
import { AppError } from "@blip2-edge/shared/problem";

/** What the room takes from outside, so that tests can hold the clock. */
export interface HubTools {
  readonly fetch: typeof fetch;
  /** Rejects with the signal's reason when it aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

export interface HubRequest {
  readonly method: "GET" | "HEAD";
  readonly url: string;
  readonly token: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sees every answer on the way; true ends the walk there. */
  readonly onAnswer?: (response: Response) => boolean;
  readonly signal: AbortSignal;
}

const maxRedirects = 5;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * The first answer that is no redirect, or at which `onAnswer` stopped. The caller reads or cancels
 * its body. Errors: `hub_mismatch` for a redirect that leads nowhere; whatever fetch throws.
 */
export async function hubRequest(request: HubRequest, tools: HubTools): Promise<Response> {
  let url = new URL(request.url);
  let { token } = request;
  for (let hop = 0; hop <= maxRedirects; hop += 1) {
    const response = await tools.fetch(url.href, {
      method: request.method,
      headers: {
        // A compressed answer has another length and no ranges.
        "accept-encoding": "identity",
        "user-agent": "blip2-edge",
        ...request.headers,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      redirect: "manual",
      signal: request.signal,
    });
    const stop = request.onAnswer?.(response) ?? false;
    if (stop || !redirects.has(response.status)) return response;
    await response.body?.cancel();
    const location = response.headers.get("location") ?? "";
    const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
    const secure =
      next?.protocol === "https:" || (next?.protocol === "http:" && url.protocol === "http:");
    if (next === undefined || location === "" || !secure) {
      throw new AppError(
        "hub_mismatch",
        `${url.host} redirects to an address that is not followed (from https only to https).`,
      );
    }
    if (next.origin !== url.origin) token = undefined;
    url = next;
  }
  throw new AppError("hub_mismatch", `${url.host} redirects more than ${maxRedirects} times.`);
}
