// What a vendor's adapter does: believe a webhook or refuse it, read an asset, write its words, find assets
// without any. It has no I/O of its own: `Cms.ask` goes to the connection's one origin through the house's
// guard, within bounds of time and bytes, and turns what every CMS can answer (401, 403, 429, 5xx, silence)
// into a CmsFault; the flow (process-delivery.ts) fetches bytes, describes, decides and remembers.
import type { Word } from "@blip2-edge/shared/contracts/connections";

/** A webhook as it came, before anybody believes it. */
export interface RawHook {
  /** As the sender called it. */
  readonly url: URL;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** What a webhook says of one asset. Only a hint: what is written is decided by what `read` says later. */
export interface Notice {
  /** The sender's own id of the delivery; left out: the digest of its body stands for it. */
  readonly deliveryId?: string;
  /** In the sender's words: `files.upload`. */
  readonly event: string;
  /** Left out: it is about no asset that could be read. */
  readonly assetId?: string;
  /** Of the asset's bytes, in the same words as `Asset.version`. */
  readonly version?: string;
  /** Why there is nothing to do, where the webhook alone tells. */
  readonly skip?: "unknown_event" | "not_an_image" | "not_understood";
}

/** Words of an asset. Null: the field is empty. Left out: there is no such field, or it is not meant. */
export interface Words {
  readonly alt?: string | null;
  readonly caption?: string | null;
  readonly tags?: readonly string[] | null;
}

/** The name in the CMS of the field that each kind of words goes to; left out: not written. */
export type Targets = Readonly<Partial<Record<Word, string>>>;

export interface Asset {
  readonly id: string;
  /** Changes whenever the file is replaced, and never when only its words change. */
  readonly version: string;
  /** What the CMS checks a write against, where it does. */
  readonly revision?: string;
  /** What a write calls it, where that is not its id. */
  readonly writeName?: string;
  readonly mimeType?: string;
  readonly fileName?: string;
  /** What the fields of the connection's targets hold now. */
  readonly words: Words;
  readonly file: FileLocation;
}

export interface FileLocation {
  /** Absolute. Any public address, or the connection's own origin. */
  readonly url: string;
  /** Sent to the connection's own origin and nowhere else, whatever redirects say. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Ask {
  readonly method: "GET" | "POST" | "PATCH" | "PUT";
  /** Appended to the connection's base URL: `/files/1?fields=id`, or a query alone. */
  readonly path: string;
  /** Appended to its origin instead. */
  readonly fromOrigin?: true;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, with that content type unless `headers` name another. */
  readonly json?: unknown;
  readonly form?: FormData;
  /** Of the statuses that are faults otherwise, those that the adapter reads itself. */
  readonly expects?: readonly number[];
}

export interface Told {
  /** Never 401, 403, 429 or 5xx, unless expected: those are faults already. Redirects are not followed. */
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON; undefined where the answer is none. */
  readonly body: unknown;
}

/** A connection as an adapter sees it. */
export interface Cms {
  /** Throws CmsFault. */
  readonly ask: (ask: Ask) => Promise<Told>;
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly token: string;
  readonly targets: Targets;
  /** Aborted when the time of the work is over. */
  readonly signal: AbortSignal;
}

/**
 * `saved`: written, into changes that wait to be published while the asset itself is public. `conflict`: the asset
 * changed since it was read.
 */
export type Written = "written" | "saved" | "conflict" | "gone";

export interface UntitledPage {
  readonly assets: readonly { readonly id: string; readonly version: string }[];
  /** Undefined on the last page. */
  readonly cursor: string | undefined;
}

export interface TargetRule {
  /** Where these words go when the connection does not say; null: nowhere. */
  readonly preset: string | null;
  /** The names that may be given instead. */
  readonly allowed: RegExp;
}

export interface Adapter {
  /** What a webhook secret must look like there: a pattern, and the same in words (`must be …`). */
  readonly secret: { readonly pattern: RegExp; readonly message: string };
  /** The same for the path of a connection's base URL, `/` for none; left out: it does not matter. */
  readonly basePath?: { readonly pattern: RegExp; readonly message: string };
  /** What it can write; left out: the CMS has no such field. */
  readonly targets: Readonly<Partial<Record<Word, TargetRule>>>;
  /**
   * What a webhook says, once one of the secrets (the newest first, two at most) has vouched for its raw body.
   * Throws signature_invalid (`unproven` in proofs.ts), which is vague outside and exact inside. What is proven and
   * not understood is a notice with `skip`, never a throw.
   */
  verify(hook: RawHook, secrets: readonly string[], now: number): Promise<readonly Notice[]>;
  /** Undefined: there is no such asset any more. Throws CmsFault. */
  read(cms: Cms, assetId: string): Promise<Asset | undefined>;
  /**
   * Writes these words and leaves all others as they are, under the CMS's own check of `asset.revision` where it
   * has one. `written` and `saved` only when the answer proves it. Throws CmsFault.
   */
  write(cms: Cms, asset: Asset, words: Words): Promise<Written>;
  /** One page of pictures whose field for alt text is empty. Throws CmsFault. */
  listUntitled(cms: Cms, cursor: string | undefined): Promise<UntitledPage>;
  /** The same of all pictures; left out: the CMS is not asked for them. Throws CmsFault. */
  listAll?(cms: Cms, cursor: string | undefined): Promise<UntitledPage>;
}
