// Fetches a picture file from a URL that a caller named, or asks its origin whether the one that is known has
// changed. Redirects are followed by hand and every hop is judged anew; bytes and time are bounded while
// streaming. What the file is, its bytes tell later: Content-Type is not believed. The caller learns little,
// the log learns why.
import { sha256Hex } from "@blip2-edge/shared/hex";
import { AppError } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";
import { directivesOf } from "../cache-control.ts";
import { admission, urlRefused, type Admit } from "./admit.ts";
import { alongTheWay, cachingOf, freshened, type Caching, type Exchanged } from "./freshness.ts";
import type { MemoryShare } from "./picture-memory.ts";
import { announcedBytes, roomFor } from "./room-for-file.ts";
import type { UrlPolicy } from "./url-guard.ts";

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
  readonly now?: () => number;
}

/** What of an answer is worth remembering of its address. */
export interface FetchedAddress {
  /** `scheme://host:port` of every hop: a key that may not go one of them may not use what is remembered. */
  readonly origins: readonly string[];
  /** SHA-256 of the last hop's URL, to which its validators belong. */
  readonly lastHop: string;
  /** Anyone may fetch it and any cache may keep it: see `mayBeShared`. */
  readonly isPublic: boolean;
  readonly caching: Caching;
}

interface Fetched {
  readonly isPublic: boolean;
  readonly host: string;
  readonly redirects: number;
  /** Undefined: an answer on the way says `no-store`. */
  readonly address: FetchedAddress | undefined;
}

export interface FetchedFile extends Fetched {
  readonly kind: "file";
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The origin says that what is known is still so. */
export interface NotModified extends Fetched {
  readonly kind: "not_modified";
}

export type FetchedPicture = FetchedFile | NotModified;

/** The origin answered, and not with a picture. */
export class OriginRefused extends AppError {
  readonly originStatus: number;
  readonly originHeaders: Headers;
  constructor(originStatus: number, originHeaders: Headers) {
    super("fetch_failed", `The server answered ${originStatus} instead of a picture.`);
    this.originStatus = originStatus;
    this.originHeaders = originHeaders;
  }
}

const redirectStatuses = new Set([301, 302, 303, 307, 308]);
/**
 * Whether a picture belongs to everyone. Conservative: the answer says `Cache-Control: public` itself,
 * sets no cookie, does not vary by who asks, and no hop carried a query, which may be a signature.
 */
function mayBeShared(hops: readonly URL[], headers: Headers): boolean {
  const cacheControl = directivesOf(headers.get("cache-control"));
  const vary = directivesOf(headers.get("vary"));
  return (
    cacheControl.has("public") &&
    !["private", "no-store", "no-cache"].some((directive) => cacheControl.has(directive)) &&
    !["*", "cookie", "authorization"].some((field) => vary.has(field)) &&
    !headers.has("set-cookie") &&
    hops.every((hop) => hop.search === "")
  );
}

/** A 304 that says nothing about caching leaves it as it was (RFC 9111 3.2). */
const staysShared = (hops: readonly URL[], headers: Headers, wasPublic: boolean): boolean =>
  headers.has("cache-control")
    ? mayBeShared(hops, headers)
    : wasPublic && !headers.has("set-cookie") && hops.every((hop) => hop.search === "");

/** On whose behalf a picture is fetched. */
export interface FetchFor {
  /** Hosts to which the key is limited; none: no limit. */
  readonly allow: readonly string[];
  readonly memory: MemoryShare;
  readonly signal: AbortSignal;
  /** What is known of the address: its origin is then asked whether it has changed. */
  readonly known?: Omit<FetchedAddress, "origins"> | undefined;
  /** Headers that one origin is sent, and no other that a redirect leads to. */
  readonly credentials?: Credentials | undefined;
}

export interface Credentials {
  readonly origin: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type PictureFetcher = (url: string, on: FetchFor) => Promise<FetchedPicture>;

/** How far a fetch has come. */
interface Way {
  readonly hops: URL[];
  /** A private origin, once on the way, keeps the picture private to the tenant. */
  via: "internet" | "private";
  /** Of the redirects so far; undefined as soon as one of them may not be kept. */
  redirects: readonly Caching[] | undefined;
}

/** Throws url_refused, fetch_failed, fetch_timeout, fetch_too_large, overloaded. */
export function pictureFetcher(options: PictureFetcherOptions): PictureFetcher {
  const { policy, maxBytes, timeoutMs, maxRedirects, now = Date.now } = options;
  const admit: Admit = admission(policy);

  async function ask(hop: URL, via: Way["via"], on: FetchFor) {
    const go = via === "private" ? options.privateNet : options.internet;
    if (go === undefined) throw urlRefused("no private network bound");
    const { known, signal } = on;
    // Validators go to the hop that gave them: another resource may have the same tag by chance.
    const conditional = known !== undefined && known.lastHop === (await sha256Hex(hop.href));
    const { etag, lastModified } = conditional ? known.caching.validators : {};
    const sentAt = now();
    const response = await go(hop.href, {
      method: "GET",
      redirect: "manual",
      headers: {
        accept: "image/webp,image/png,image/jpeg,image/*;q=0.5",
        "user-agent": "blip2-edge",
        ...(on.credentials?.origin === hop.origin ? on.credentials.headers : {}),
        ...(etag === undefined ? {} : { "if-none-match": etag }),
        ...(lastModified === undefined ? {} : { "if-modified-since": lastModified }),
      },
      signal,
    });
    const asked = etag !== undefined || lastModified !== undefined;
    return { response, exchanged: { sentAt, arrivedAt: now() }, asked };
  }

  async function follow(text: string, on: FetchFor): Promise<FetchedPicture> {
    const way: Way = { hops: [], via: "internet", redirects: [] };
    let next = text;
    for (;;) {
      const { url, via } = admit(next, on.allow, way.hops);
      if (via === "private") way.via = via;
      way.hops.push(url);
      const { response, exchanged, asked } = await ask(url, via, on);
      if (response.status === 304 && asked && on.known !== undefined) {
        await response.body?.cancel();
        return notModified(response.headers, exchanged, way, on.known);
      }
      if (!redirectStatuses.has(response.status)) return read(response, exchanged, way, on);
      await response.body?.cancel();
      const location = response.headers.get("location");
      if (location === null) throw failed(`${response.status} without Location`);
      if (way.hops.length > maxRedirects) {
        throw new AppError("fetch_failed", `The URL redirects more than ${maxRedirects} times.`);
      }
      const caching = cachingOf(response.headers, exchanged);
      way.redirects = caching === undefined ? undefined : way.redirects?.concat(caching);
      next = location;
    }
  }

  async function fetched(
    way: Way,
    mayShare: boolean,
    caching: Caching | undefined,
  ): Promise<Fetched> {
    const { hops, via, redirects } = way;
    const last = hops.at(-1);
    const isPublic = via === "internet" && mayShare;
    const whole = caching === undefined ? undefined : redirects?.reduce(alongTheWay, caching);
    return {
      isPublic,
      host: last?.host ?? "",
      redirects: hops.length - 1,
      address:
        whole === undefined
          ? undefined
          : {
              origins: hops.map(({ origin }) => origin),
              lastHop: await sha256Hex(last?.href ?? ""),
              isPublic,
              caching: whole,
            },
    };
  }

  async function notModified(
    headers: Headers,
    exchanged: Exchanged,
    way: Way,
    known: NonNullable<FetchFor["known"]>,
  ): Promise<NotModified> {
    const mayShare = staysShared(way.hops, headers, known.isPublic);
    const caching = freshened(known.caching, headers, exchanged);
    return { kind: "not_modified", ...(await fetched(way, mayShare, caching)) };
  }

  async function read(
    response: Response,
    exchanged: Exchanged,
    way: Way,
    { memory, signal }: FetchFor,
  ): Promise<FetchedFile> {
    const tooLarge = new AppError(
      "fetch_too_large",
      `The file behind the URL has more than ${maxBytes} bytes, which is the most for one picture.`,
    );
    if (!response.ok) {
      await response.body?.cancel();
      throw new OriginRefused(response.status, response.headers);
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
    const { headers } = response;
    return {
      kind: "file",
      bytes: result.bytes,
      ...(await fetched(way, mayBeShared(way.hops, headers), cachingOf(headers, exchanged))),
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
