// The way to one CMS. Its API is asked at the connection's own origin and nowhere else, redirects are not followed,
// time and bytes are bounded, and what any CMS may answer becomes a CmsFault. The token goes to that origin alone.
import { AppError } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";
import { admission } from "../images/admit.ts";
import type { Fetch } from "../images/fetch.ts";
import type { UrlPolicy } from "../images/url-guard.ts";
import type { Ask, Told } from "./adapter.ts";
import { CmsFault } from "./cms-fault.ts";

export interface WaysOut {
  readonly internet: Fetch;
  readonly privateNet: Fetch | undefined;
  readonly ports: readonly number[];
  /** Private origins, `host:port`, at which a CMS may be. */
  readonly privateOrigins: readonly string[];
}

/** Where a connection is. */
export interface CmsPlace {
  readonly base_url: string;
  readonly allow_private: boolean;
}

export interface CmsFetchOptions {
  readonly ways: WaysOut;
  readonly place: CmsPlace;
  /** Hosts to which the connection's key is limited. */
  readonly allow: readonly string[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const maxAnswerBytes = 4 * 1024 * 1024;
const longestRetryAfterS = 3600;

const portOf = (url: URL): number =>
  url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);

/** What a connection may reach: public addresses, and its own origin where that is private and allowed to be. */
export function policyOf(
  ways: WaysOut,
  { base_url: baseUrl, allow_private: mayBePrivate }: CmsPlace,
): UrlPolicy {
  const url = new URL(baseUrl);
  const origin = `${url.hostname}:${portOf(url)}`;
  const isPrivate = mayBePrivate && ways.privateOrigins.includes(origin);
  return { ports: ways.ports, allowPrivate: isPrivate ? [origin] : [] };
}

/** Throws url_refused for an address at which no connection may be. */
export function refusePlace(ways: WaysOut, place: CmsPlace, allow: readonly string[]): void {
  try {
    admission(policyOf(ways, place))(place.base_url, allow);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError(
      "url_refused",
      "`base_url` may not be asked. Give a plain public URL; a CMS on a private network needs `allow_private`, and to be named in the Worker's CMS_PRIVATE_ORIGINS.",
      { internal: `connection: ${error.internal ?? ""}` },
    );
  }
}

/** Seconds that a CMS asks us to wait (RFC 9110 10.2.3), within reason. */
function retryAfterOf(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const seconds = /^\d{1,9}$/.test(header.trim())
    ? Number(header)
    : Math.ceil((Date.parse(header) - now) / 1000);
  return Number.isFinite(seconds) ? Math.min(Math.max(0, seconds), longestRetryAfterS) : undefined;
}

/** The fault that a status is for any CMS; undefined where its meaning is the vendor's. */
export function faultOfStatus(status: number, headers: Headers, now: number): CmsFault | undefined {
  const internal = `status ${status}`;
  if (status === 401 || status === 403) return new CmsFault("token_refused", { internal });
  if (status !== 429 && status < 500) return undefined;
  const retryAfterS = retryAfterOf(headers.get("retry-after"), now);
  const more = { internal, ...(retryAfterS === undefined ? {} : { retryAfterS }) };
  return new CmsFault(status === 429 ? "cms_busy" : "cms_error", more);
}

export function cmsFetch(options: CmsFetchOptions): (ask: Ask) => Promise<Told> {
  const { ways, place, allow, timeoutMs, signal } = options;
  const admit = admission(policyOf(ways, place));
  const { origin } = new URL(place.base_url);

  async function told(ask: Ask): Promise<Told> {
    const { method, path, fromOrigin = false, headers, json, form, expects = [] } = ask;
    const asked = new URL(`${fromOrigin ? origin : place.base_url}${path}`);
    if (!/^[/?]/.test(path) || asked.origin !== origin) throw new Error("a path of another origin");
    const { url, via } = admit(asked.href, allow);
    const go = via === "private" ? ways.privateNet : ways.internet;
    if (go === undefined) throw new CmsFault("address_refused", { internal: "no private network" });
    const response = await go(url.href, {
      method,
      redirect: "manual",
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      headers: {
        accept: "application/json",
        "user-agent": "blip2-edge",
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      ...(form === undefined ? {} : { body: form }),
    });
    const { status } = response;
    const fault = expects.includes(status)
      ? undefined
      : faultOfStatus(status, response.headers, Date.now());
    if (fault !== undefined) {
      await response.body?.cancel();
      throw fault;
    }
    const read = await readBounded(response.body, maxAnswerBytes, signal);
    if (!read.ok) throw new CmsFault("cms_unexpected", { internal: "the answer is too long" });
    return { status, headers: response.headers, body: jsonOf(read.bytes) };
  }

  return async (ask) => {
    try {
      return await told(ask);
    } catch (error) {
      if (error instanceof CmsFault) throw error;
      if (error instanceof AppError) {
        if (error.code !== "url_refused") throw error;
        throw new CmsFault("address_refused", { internal: error.internal ?? "" });
      }
      if (signal.aborted) throw signal.reason;
      const late = error instanceof Error && error.name === "TimeoutError";
      throw new CmsFault(late ? "cms_timeout" : "cms_unreachable", { cause: error });
    }
  };
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
