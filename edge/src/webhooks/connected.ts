// A connection with the way to its CMS: what an adapter is given, and how the bytes of an asset are fetched.
import { AppError } from "@blip2-edge/shared/problem";
import type { Caller } from "../auth/caller.ts";
import { OriginRefused, pictureFetcher } from "../images/fetch.ts";
import type { MemoryShare } from "../images/picture-memory.ts";
import type { Adapter, Cms, FileLocation } from "./adapter.ts";
import { adapters } from "./adapters.ts";
import { CmsFault } from "./cms-fault.ts";
import { cmsFetch, faultOfStatus, policyOf, type WaysOut } from "./cms-fetch.ts";
import type { ConnectionBook } from "./connection-book.ts";
import { optionsOf, targetsOf, type ConnectionRecord } from "./connection-record.ts";
import { Hopeless } from "./reasons.ts";

export interface ConnectedRooms {
  readonly book: Pick<ConnectionBook, "secretsOf">;
  readonly ways: WaysOut;
  /** For one answer of a CMS, and for one file. */
  readonly timeoutMs: number;
  readonly maxImageBytes: number;
  readonly maxRedirects: number;
}

export interface Connected {
  readonly adapter: Adapter;
  readonly cms: Cms;
  /** Throws CmsFault, Hopeless, overloaded; undefined: the file is gone. */
  fetchBytes(file: FileLocation, memory: MemoryShare): Promise<Uint8Array<ArrayBuffer> | undefined>;
}

export async function connect(
  rooms: ConnectedRooms,
  connection: ConnectionRecord,
  { fetchAllow: allow }: Pick<Caller, "fetchAllow">,
  signal: AbortSignal,
): Promise<Connected> {
  const { ways, timeoutMs } = rooms;
  const { token } = await rooms.book.secretsOf(connection);
  const options = optionsOf(connection.kind, connection.options);
  const fetchPicture = pictureFetcher({
    policy: policyOf(ways, connection),
    internet: ways.internet,
    privateNet: ways.privateNet,
    maxBytes: rooms.maxImageBytes,
    timeoutMs,
    maxRedirects: rooms.maxRedirects,
  });
  const { origin } = new URL(connection.base_url);
  return {
    adapter: adapters[connection.kind],
    cms: {
      ask: cmsFetch({ ways, place: connection, allow, timeoutMs, signal }),
      baseUrl: connection.base_url,
      token,
      targets: targetsOf(options),
      signal,
    },
    async fetchBytes({ url, headers = {} }, memory) {
      try {
        const credentials = { origin, headers };
        const fetched = await fetchPicture(url, { allow, memory, signal, credentials });
        if (fetched.kind !== "file") throw new Error("nothing was known of the file");
        if (isWebPage(fetched.bytes)) throw new Hopeless("login_page");
        return fetched.bytes;
      } catch (error) {
        if (error instanceof OriginRefused && [404, 410].includes(error.originStatus))
          return undefined;
        throw error instanceof AppError ? faultOf(error) : error;
      }
    },
  };
}

/** What fetching a file can meet, in the words of connections. */
function faultOf(error: AppError): Error {
  if (error instanceof OriginRefused) {
    const { originStatus: status, originHeaders: headers } = error;
    return (
      faultOfStatus(status, headers, Date.now()) ?? new CmsFault("cms_unexpected", { cause: error })
    );
  }
  switch (error.code) {
    case "url_refused":
      return new CmsFault("address_refused", { internal: error.internal ?? "" });
    case "fetch_failed":
      return new CmsFault("cms_unreachable", { cause: error });
    case "fetch_timeout":
      return new CmsFault("cms_timeout", { cause: error });
    case "fetch_too_large":
      return new Hopeless("file_too_large", error);
    default:
      return error;
  }
}

/** No picture begins so. */
const isWebPage = (bytes: Uint8Array): boolean =>
  /^\s*(?:<!--[^]*?-->\s*)?<(?:!doctype\s+html|html)[\s>]/i.test(
    new TextDecoder().decode(bytes.subarray(0, 512)),
  );
