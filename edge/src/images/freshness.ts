// How long an answer to a GET may be used again: RFC 9111 for its freshness and validators, RFC 5861 for
// using it past that. Pure: headers and times in, numbers out. Only what the answer says itself counts: without
// a lifetime there is none (no heuristics), and what contradicts itself is stale.

import { directivesOf } from "../cache-control.ts";

/** Seconds. */
export interface Lifetimes {
  readonly freshS: number;
  /** Past that: while it is asked again in the background. */
  readonly staleWhileRevalidateS: number;
  /** Past that: when the origin fails. */
  readonly staleIfErrorS: number;
}

export interface Validators {
  readonly etag?: string;
  readonly lastModified?: string;
}

export interface Caching {
  readonly lifetimes: Lifetimes;
  readonly validators: Validators;
  /** The moment from which the lifetimes count, Unix milliseconds. */
  readonly since: number;
}

/** When the request was sent and its answer's head arrived, Unix milliseconds. */
export interface Exchanged {
  readonly sentAt: number;
  readonly arrivedAt: number;
}

const noLifetimes: Lifetimes = { freshS: 0, staleWhileRevalidateS: 0, staleIfErrorS: 0 };
/** RFC 9111 1.2.2. */
const maxDeltaS = 2 ** 31;
const maxValidatorCharacters = 1024;

/** Whole seconds, or undefined for what is none. */
function deltaS(text: string | null | undefined): number | undefined {
  const digits = text?.trim() ?? "";
  return /^\d+$/.test(digits) ? Math.min(Number(digits), maxDeltaS) : undefined;
}

/** Milliseconds, or undefined for what is no date. */
function dateMs(text: string | null): number | undefined {
  const at = text === null ? NaN : Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}

/** RFC 9111 4.2.1: the Worker is a shared cache, so `s-maxage` goes before `max-age` before `Expires`. */
function freshS(headers: Headers, directives: Map<string, string | undefined>): number {
  for (const name of ["s-maxage", "max-age"]) {
    if (directives.has(name)) return deltaS(directives.get(name)) ?? 0;
  }
  const expires = dateMs(headers.get("expires"));
  const date = dateMs(headers.get("date"));
  if (expires === undefined || date === undefined) return 0;
  return Math.max(0, Math.min(Math.floor((expires - date) / 1000), maxDeltaS));
}

function lifetimesOf(headers: Headers): Lifetimes {
  const directives = directivesOf(headers.get("cache-control"));
  // `Vary: *` fits no later request (RFC 9111 4.1); any other fits, because every fetch is the same.
  if (directives.has("no-cache") || headers.get("vary")?.includes("*") === true) return noLifetimes;
  const mustRevalidate = directives.has("must-revalidate") || directives.has("proxy-revalidate");
  const past = (name: string) => (mustRevalidate ? 0 : (deltaS(directives.get(name)) ?? 0));
  return {
    freshS: freshS(headers, directives),
    staleWhileRevalidateS: past("stale-while-revalidate"),
    staleIfErrorS: past("stale-if-error"),
  };
}

function validatorsOf(headers: Headers): Validators {
  const kept = (name: string) => {
    const value = headers.get(name);
    return value === null || value.length > maxValidatorCharacters ? undefined : value;
  };
  const [etag, lastModified] = [kept("etag"), kept("last-modified")];
  return {
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { lastModified }),
  };
}

/** RFC 9111 4.2.3: the moment at which the answer was as old as nothing. */
function sinceOf(headers: Headers, { sentAt, arrivedAt }: Exchanged): number {
  const apparentMs = Math.max(0, arrivedAt - (dateMs(headers.get("date")) ?? arrivedAt));
  const correctedMs = (deltaS(headers.get("age")) ?? 0) * 1000 + (arrivedAt - sentAt);
  return arrivedAt - Math.max(apparentMs, correctedMs);
}

/** Undefined: nothing of it may be kept (`no-store`). */
export function cachingOf(headers: Headers, exchanged: Exchanged): Caching | undefined {
  if (directivesOf(headers.get("cache-control")).has("no-store")) return undefined;
  return {
    lifetimes: lifetimesOf(headers),
    validators: validatorsOf(headers),
    since: sinceOf(headers, exchanged),
  };
}

/** What a 304 makes of what was kept (RFC 9111 3.2, 4.3.4): its fields replace those of before. */
export function freshened(
  kept: Pick<Caching, "lifetimes" | "validators">,
  headers: Headers,
  exchanged: Exchanged,
): Caching | undefined {
  const now = cachingOf(headers, exchanged);
  if (now === undefined) return undefined;
  const saysHowLong = headers.has("cache-control") || headers.has("expires");
  return {
    lifetimes: saysHowLong ? now.lifetimes : kept.lifetimes,
    validators: { ...kept.validators, ...now.validators },
    since: now.since,
  };
}

/** Of an answer that came after redirects: what holds for every hop holds for the whole way. */
export function alongTheWay(caching: Caching, hop: Caching): Caching {
  // Each hop's time is its own; the way is fresh until the first of them is not.
  const left = (each: Caching, lifetimeS: number) => each.since + lifetimeS * 1000;
  const freshUntil = Math.min(
    left(caching, caching.lifetimes.freshS),
    left(hop, hop.lifetimes.freshS),
  );
  const least = (name: keyof Lifetimes) => Math.min(caching.lifetimes[name], hop.lifetimes[name]);
  return {
    ...caching,
    lifetimes: {
      freshS: Math.max(0, Math.floor((freshUntil - caching.since) / 1000)),
      staleWhileRevalidateS: least("staleWhileRevalidateS"),
      staleIfErrorS: least("staleIfErrorS"),
    },
  };
}
