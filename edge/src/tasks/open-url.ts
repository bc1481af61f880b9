// The picture behind a URL: from the book of addresses while that is fresh, else from its origin, which is asked
// whether it has changed where that can be asked. Before an address is used, known or not, the guard and the
// key's list decide, hop by hop. What is past its time may still serve, as far as the origin said (RFC 5861):
// while it is asked in the background, or when it fails.
import { AppError } from "@blip2-edge/shared/problem";
import type { KnownAddress } from "../cache/addresses.ts";
import { merged, type KnownPicture } from "../cache/known-picture.ts";
import { servedReport } from "../cache/served.ts";
import { keepsNothing, type AuthenticatedContext } from "../context.ts";
import { OriginRefused } from "../images/fetch.ts";
import { describeError } from "../log.ts";
import { partitionsOf, tenantPartition } from "../partition.ts";
import {
  knownPicture,
  openFile,
  rememberable,
  type OpenedPicture,
  type PictureRooms,
} from "./open-picture.ts";

const refreshTimeoutMs = 30_000;

/** Throws url_refused, what fetching throws, and the problems of reading a picture. */
export async function openUrl(
  rooms: PictureRooms,
  url: string,
  size: number,
  context: AuthenticatedContext,
): Promise<OpenedPicture> {
  const { caller, event, memory, served, signal, wishes } = context;
  memory.keep(0);
  const admitted = rooms.admit(url, caller.fetchAllow);
  const address = admitted.url.href;
  if (keepsNothing(context)) return ask(rooms, { address, size }, context);
  const own = tenantPartition(caller.tenant);
  // Only what may have become everyone's is looked for among what is everyone's.
  const mayBePublic = admitted.via === "internet" && admitted.url.search === "";
  const partitions = partitionsOf(caller.tenant, mayBePublic);
  const known = await rooms.addresses.find(partitions, address);
  if (known === undefined || !isUsable(rooms, known, size, caller.fetchAllow)) {
    return ask(rooms, { address, size, sizesOf: known }, context);
  }

  const asked = { address, size, sizesOf: known, known };
  const use = wishes.noCache ? "ask" : useOf(known, Date.now());
  if (use !== "ask") {
    served.address = use;
    event["image_host"] = admitted.url.host;
    if (use === "stale" && rooms.claims.take(`refresh ${own} ${address}`)) {
      context.later(refresh(rooms, asked, context));
    }
    return remembered(rooms, asked, known, context);
  }
  try {
    return await ask(rooms, asked, context);
  } catch (error) {
    signal.throwIfAborted();
    if (!isOriginFault(error) || !mayServeOnError(known, Date.now())) throw error;
    served.address = "stale";
    event["address_fault"] = describeError(error);
    return remembered(rooms, asked, known, context);
  }
}

/** What is asked of an address. */
interface AskedOf {
  readonly address: string;
  readonly size: number;
  /** What is known and would do, if its origin says that it has not changed. */
  readonly known?: KnownAddress | undefined;
  /** What is known of the picture at whatever sizes. */
  readonly sizesOf?: KnownAddress | undefined;
  /** Decode the file even if it is known. */
  readonly decodes?: boolean;
}

/** Known at this size, and this key may go the whole way to it. */
function isUsable(
  { admit }: PictureRooms,
  { picture, origins }: KnownAddress,
  size: number,
  allow: readonly string[],
): boolean {
  try {
    // Where it may not, the fetch will be refused at that hop, and the log will say why.
    for (const origin of origins) admit(origin, allow);
  } catch {
    return false;
  }
  return picture.sizes.includes(size);
}

const until = ({ caching: { since, lifetimes } }: KnownAddress, moreS: number): number =>
  since + (lifetimes.freshS + moreS) * 1000;

function useOf(known: KnownAddress, now: number): "fresh" | "stale" | "ask" {
  if (now < until(known, 0)) return "fresh";
  return now < until(known, known.caching.lifetimes.staleWhileRevalidateS) ? "stale" : "ask";
}

const mayServeOnError = (known: KnownAddress, now: number): boolean =>
  now < until(known, known.caching.lifetimes.staleIfErrorS);

/** Not an answer of the origin about the picture: it cannot be reached, or has an error itself. */
const isOriginFault = (error: unknown): boolean =>
  error instanceof OriginRefused
    ? error.originStatus >= 500
    : error instanceof AppError &&
      (error.code === "fetch_failed" || error.code === "fetch_timeout");

const isGone = (error: unknown): boolean =>
  error instanceof OriginRefused && (error.originStatus === 404 || error.originStatus === 410);

function remembered(
  rooms: PictureRooms,
  asked: AskedOf,
  { picture, isPublic }: Pick<KnownAddress, "picture" | "isPublic">,
  context: AuthenticatedContext,
): OpenedPicture {
  const { address, size } = asked;
  const partitions = partitionsOf(context.caller.tenant, isPublic);
  return {
    ...knownPicture("address", picture, partitions, size, context),
    forget: () => rooms.addresses.forget(partitions, address),
    again: () => ask(rooms, { address, size, decodes: true }, context),
  };
}

/** Asks the origin. What it says is remembered, unless nothing may be kept. */
async function ask(
  rooms: PictureRooms,
  asked: AskedOf,
  context: AuthenticatedContext,
): Promise<OpenedPicture> {
  const { address, size, known, sizesOf, decodes } = asked;
  const { caller, event, memory, signal, served } = context;
  const on = { allow: caller.fetchAllow, memory, signal, known };
  const fetching = context.hops.time("fetch", () => rooms.fetchPicture(address, on));
  const fetched = await fetching.catch(async (error: unknown) => {
    if (isGone(error) && sizesOf !== undefined) {
      const partitions = partitionsOf(caller.tenant, sizesOf.isPublic);
      context.later(rooms.addresses.forget(partitions, address));
    }
    throw error;
  });
  event["image_host"] = fetched.host;
  event["image_redirects"] = fetched.redirects;
  const { isPublic } = fetched;
  const partitions = partitionsOf(caller.tenant, isPublic);
  const remember = async (picture: KnownPicture | undefined): Promise<void> => {
    if (picture === undefined || fetched.address === undefined) return;
    const facts = { ...fetched.address, picture: merged(sizesOf?.picture, picture) };
    await rooms.addresses.remember(partitions, address, facts);
  };
  if (fetched.kind === "file") {
    const { bytes } = fetched;
    const rememberIt = (picture: OpenedPicture) => remember(rememberable(picture));
    return openFile(rooms, { bytes, partitions, size, decodes, remember: rememberIt }, context);
  }
  if (known === undefined) throw new Error("a 304 that nobody asked for");
  served.address = "revalidated";
  context.later(remember(known.picture));
  return remembered(rooms, asked, { picture: known.picture, isPublic }, context);
}

/** In the background, after an answer from what is past its time. Its own log is that of the next request. */
async function refresh(
  rooms: PictureRooms,
  asked: AskedOf,
  context: AuthenticatedContext,
): Promise<void> {
  const memory = rooms.pictureMemory.share();
  const signal = AbortSignal.timeout(refreshTimeoutMs);
  const own = { ...context, memory, signal, event: {}, served: servedReport() };
  try {
    const { keeping } = await ask(rooms, asked, own);
    await keeping?.now();
  } finally {
    memory.keep(0);
  }
}
