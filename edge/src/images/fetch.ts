// Fetches a picture file from a URL that a caller named. Redirects are followed by hand and every hop is
// judged anew; bytes and time are bounded while streaming. What the file is, its bytes tell later:
// Content-Type is not believed. The caller learns little, the log learns why.
import { AppError } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";
import { isFetchAllowed } from "./fetch-allow.ts";
import type { MemoryShare } from "./picture-memory.ts";
import { announcedBytes, roomFor } from "./room-for-file.ts";
import { checkUrl, type UrlPolicy } from "./url-guard.ts";
import { urlInLog } from "./url-in-log.ts";

/** `fetch`, or the `fetch` of a service binding. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface PictureFetcherOptions {
  readonly policy: UrlPolicy;
  readonly internet: Fetch;
  /** The way to the allowed private origins; without it there are none. */
  readonly privateNet: Fetch | undefined;
  readonly maxBytes: number;
  readonly timeoutMs: number;
  readonly maxRedirects: number;
}

export interface FetchedPicture {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Anyone may fetch it and any cache may keep it: see `mayBeShared`. */
  readonly isPublic: boolean;
  readonly host: string;
  readonly redirects: number;
}

const redirectStatuses = new Set([301, 302, 303, 307, 308]);
/** The answer's directives, lower case, without their values. */
const directives = (header: string | null): Set<string> =>
  new Set((header ?? "").split(",").map((part) => (part.split("=")[0] ?? "").trim().toLowerCase()));

/**
 * Whether a picture belongs to everyone. Conservative: the answer says `Cache-Control: public` itself,
 * sets no cookie, does not vary by who asks, and no hop carried a query, which may be a signature.
 */
function mayBeShared(hops: readonly URL[], headers: Headers): boolean {
  const cacheControl = directives(headers.get("cache-control"));
  const vary = directives(headers.get("vary"));
  return (
    cacheControl.has("public") &&
    !["private", "no-store", "no-cache"].some((directive) => cacheControl.has(directive)) &&
    !["*", "cookie", "authorization"].some((field) => vary.has(field)) &&
    !headers.has("set-cookie") &&
    hops.every((hop) => hop.search === "")
  );
}

const refuse = (internal: string): AppError =>
  new AppError(
    "url_refused",
    "This URL may not be fetched. Give a plain public http or https URL of a picture, or send the picture itself.",
    { internal },
  );

/** On whose behalf a picture is fetched. */
export interface FetchFor {
  /** Hosts to which the key is limited; none: no limit. */
  readonly allow: readonly string[];
  readonly memory: MemoryShare;
  readonly signal: AbortSignal;
}

export type PictureFetcher = (url: string, on: FetchFor) => Promise<FetchedPicture>;

/** Throws url_refused, fetch_failed, fetch_timeout, fetch_too_large, overloaded. */
export function pictureFetcher(options: PictureFetcherOptions): PictureFetcher {
  const { policy, maxBytes, timeoutMs, maxRedirects } = options;

  async function follow(text: string, on: FetchFor): Promise<FetchedPicture> {
    const { signal } = on;
    const hops: URL[] = [];
    let via: "internet" | "private" = "internet";
    let next = text;
    for (;;) {
      const verdict = checkUrl(next, policy, hops.at(-1));
      const hop = `hop ${hops.length}`;
      if (!verdict.ok) throw refuse(`${hop}: ${verdict.reason}: ${urlInLog(next)}`);
      if (!isFetchAllowed(verdict.url, on.allow)) {
        throw refuse(`${hop}: not_in_key_allow_list: ${urlInLog(next)}`);
      }
      // A private origin, once on the way, keeps the picture private to the tenant.
      if (verdict.via === "private") via = "private";
      hops.push(verdict.url);
      const go = verdict.via === "private" ? options.privateNet : options.internet;
      if (go === undefined) throw refuse(`${hop}: no private network bound`);
      const response = await go(verdict.url.href, {
        method: "GET",
        redirect: "manual",
        headers: {
          accept: "image/webp,image/png,image/jpeg,image/*;q=0.5",
          "user-agent": "blip2-edge",
        },
        signal,
      });
      if (!redirectStatuses.has(response.status)) return read(response, hops, via, on);
      await response.body?.cancel();
      const location = response.headers.get("location");
      if (location === null) throw failed(`${response.status} without Location`);
      if (hops.length > maxRedirects) {
        throw new AppError("fetch_failed", `The URL redirects more than ${maxRedirects} times.`);
      }
      next = location;
    }
  }

  async function read(
    response: Response,
    hops: readonly URL[],
    via: "internet" | "private",
    { memory, signal }: FetchFor,
  ): Promise<FetchedPicture> {
    const tooLarge = new AppError(
      "fetch_too_large",
      `The file behind the URL has more than ${maxBytes} bytes, which is the most for one picture.`,
    );
    if (!response.ok) {
      await response.body?.cancel();
      throw new AppError(
        "fetch_failed",
        `The server answered ${response.status} instead of a picture.`,
      );
    }
    const announced = announcedBytes(response.headers);
    if (announced !== undefined && announced > maxBytes) {
      await response.body?.cancel();
      throw tooLarge;
    }
    const room = await roomFor(announced, memory, signal).catch(async (error: unknown) => {
      await response.body?.cancel();
      throw error;
    });
    const result = await readBounded(response.body, maxBytes, signal, room);
    if (!result.ok) throw tooLarge;
    if (result.bytes.length === 0) throw failed("empty body", "The server sent an empty file.");
    return {
      bytes: result.bytes,
      isPublic: via === "internet" && mayBeShared(hops, response.headers),
      host: hops.at(-1)?.host ?? "",
      redirects: hops.length - 1,
    };
  }

  const failed = (
    internal: string,
    detail = "The server behind the URL could not be reached, or broke off.",
  ): AppError => new AppError("fetch_failed", detail, { internal });

  return async (url, on) => {
    const { signal } = on;
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      return await follow(url, { ...on, signal: AbortSignal.any([signal, timeout]) });
    } catch (error) {
      if (error instanceof AppError) throw error;
      if (signal.aborted) throw signal.reason;
      if (timeout.aborted) {
        throw new AppError("fetch_timeout", `The picture did not arrive within ${timeoutMs} ms.`);
      }
      // Refused by the network's address filter looks the same as a dead host, on purpose.
      throw new AppError(
        "fetch_failed",
        "The server behind the URL could not be reached, or broke off.",
        {
          cause: error,
        },
      );
    }
  };
}
