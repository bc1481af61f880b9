// Stand-ins for CMSs, each with the routes, statuses and payloads of the real one: what is uploaded, what is read and
// written, and the webhook that would be sent. In memory here; fake-cms-server.ts puts one on loopback. The vendors'
// own parts are in fake-directus.ts and its neighbours.
import type { ConnectionKind } from "@blip2-edge/shared/contracts/connections";

export interface FakeAsset {
  readonly id: string;
  readonly name: string;
  readonly mime: string;
  bytes: Buffer;
  /** How often its bytes were uploaded. */
  uploads: number;
  alt: string | null;
  caption: string | null;
  tags: readonly string[] | null;
}

/** A webhook as it travels. */
export interface FakeHook {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
export type HookEvent =
  | "created"
  | "replaced"
  /** Its words were: by a human, or by us. */
  | "edited"
  | "deleted";
/** Where a webhook goes and when, for who signs that. */
export interface HookSent {
  readonly path: string;
  readonly nowMs: number;
}

export interface CmsRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface CmsAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes as they are, a text as HTML, anything else as JSON; left out: nothing. */
  readonly body?: unknown;
}

/** What a request is for: the row of one asset, its words, a page of assets without any, an asset's bytes. */
export type Doing = "read" | "write" | "list" | "file" | "other";

/** What a vendor's stand-in is made of. */
export interface FakeVendor {
  readonly kind: ConnectionKind;
  readonly hasTags: boolean;
  /** The name of the field that a caption may go to; null: there is none. */
  readonly captionField: string | null;
  readonly proof: {
    /** Without one of these no webhook is believed. */
    readonly headers: readonly string[];
    /** How old one may be; null: it does not say when it was made. */
    readonly windowMs: number | null;
    /** Whether the body is part of what is proven. */
    readonly coversBody: boolean;
  };
  /** Whether a write is refused when the asset has changed since it was read. */
  readonly checksRevision: boolean;
  /** Whether other bytes can come under the same id. */
  readonly canReplace: boolean;
  /** What follows the origin in the connection's address: `/spaces/s1`. */
  readonly basePath?: string;
  /** How the token travels; left out: as it is. */
  tokenSent?(token: string): string;
  /** A webhook secret as the vendor has them, another for another name. Left out: `whsec_` and base64. */
  secretOf?(name: string): string;
  doing(request: CmsRequest): Doing;
  /** Whose words a write is about; left out: `?id=`, or the end of the path. */
  writtenId?(request: CmsRequest): string;
  /** The name that an asset has there. */
  idOf(index: number, mime: string): string;
  answer(
    request: CmsRequest,
    assets: Map<string, FakeAsset>,
    token: string,
  ): CmsAnswer | Promise<CmsAnswer>;
  /** Undefined: the vendor sends none for this. `sent` left out: now, to `/`. */
  hook(event: HookEvent, asset: FakeAsset, secret: string, sent?: HookSent): FakeHook | undefined;
}

/** What a request may meet instead of an answer. */
export type Fault = CmsAnswer | "hang" | "unreachable";

export interface FakeLibrary {
  readonly vendor: FakeVendor;
  /** What the vendor lets in. */
  token(): string;
  readonly assets: Map<string, FakeAsset>;
  /** `METHOD /path` of what was asked, without queries. */
  readonly asked: readonly string[];
  /** How often words were written to an asset over the API. */
  writes(id: string): number;
  add(asset: Partial<Omit<FakeAsset, "id">> & Pick<FakeAsset, "bytes">): FakeAsset;
  /** The next requests that do this, or whose `METHOD /path` matches, are answered so, one each. */
  failNext(what: Doing | RegExp, ...answers: Fault[]): void;
  /** Runs before the `count`-th request from now that does this is answered. */
  before(what: Doing, count: number, act: () => void): void;
  /** The token is another one from here on. */
  changeToken(): void;
  answer(request: CmsRequest): Promise<Fault>;
}

export function fakeLibrary(vendor: FakeVendor): FakeLibrary {
  const assets = new Map<string, FakeAsset>();
  const asked: string[] = [];
  const writes = new Map<string, number>();
  const faults: { what: Doing | RegExp; answer: Fault }[] = [];
  const acts: { what: Doing; left: number; act: () => void }[] = [];
  let added = 0;
  let tokens = 1;
  const token = (): string => `token-${tokens}-of-${vendor.kind}-0123456789`;
  const idWritten = (request: CmsRequest): string =>
    vendor.writtenId?.(request) ??
    request.url.searchParams.get("id") ??
    decodeURIComponent(request.url.pathname.split("/").at(-1) ?? "");
  return {
    ...{ vendor, assets, asked, token },
    writes: (id) => writes.get(id) ?? 0,
    add(given) {
      const { mime = "image/png" } = given;
      const id = vendor.idOf((added += 1), mime);
      const asset: FakeAsset = {
        ...{ id, name: `img-${added}.png`, mime, uploads: 1 },
        ...{ alt: null, caption: null, tags: null },
        ...given,
      };
      assets.set(id, asset);
      return asset;
    },
    failNext: (what, ...answers) =>
      void faults.push(...answers.map((answer) => ({ what, answer }))),
    before: (what, count, act) => void acts.push({ what, left: count, act }),
    changeToken: () => void (tokens += 1),
    async answer(request) {
      const line = `${request.method} ${request.url.pathname}`;
      const doing = vendor.doing(request);
      asked.push(line);
      const at = faults.findIndex(({ what }) =>
        typeof what === "string" ? what === doing : what.test(line),
      );
      const fault = at < 0 ? undefined : faults.splice(at, 1)[0]?.answer;
      if (fault === "hang" || fault === "unreachable") return fault;
      for (const each of acts) {
        if (each.what !== doing) continue;
        each.left -= 1;
        if (each.left === 0) each.act();
      }
      const answer = fault ?? (await vendor.answer(request, assets, token()));
      if (doing === "write" && answer.status === 200) {
        const id = idWritten(request);
        writes.set(id, (writes.get(id) ?? 0) + 1);
      }
      return answer;
    },
  };
}

/** The moment at which its bytes came, a different second each time. */
export const uploadedOn = ({ uploads }: FakeAsset): string =>
  new Date(Date.UTC(2026, 10, 23, 7, 16, uploads, 594)).toISOString();

/** Where files are, for a CMS that has them on a host of their own: on loopback there is but one. */
export const filesAt = ({ hostname, origin }: URL, host: string): string =>
  hostname === "127.0.0.1" ? origin : `https://${host}`;

/** How an answer's body travels. */
export function bodyOf({ body }: CmsAnswer): { readonly type: string; readonly bytes: Buffer } {
  if (Buffer.isBuffer(body)) return { type: "application/octet-stream", bytes: body };
  if (typeof body === "string") return { type: "text/html", bytes: Buffer.from(body) };
  const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body));
  return { type: "application/json", bytes };
}

/** Whole numbers that grow with every change that is looked at, as versions of a CMS do. */
export function countingVersions(): (asset: FakeAsset) => number {
  const seen = new WeakMap<FakeAsset, { readonly state: string; readonly version: number }>();
  return (asset) => {
    const { alt, caption, tags, uploads } = asset;
    const state = JSON.stringify([alt, caption, tags, uploads]);
    const before = seen.get(asset);
    if (before?.state === state) return before.version;
    const version = (before?.version ?? 0) + 1;
    seen.set(asset, { state, version });
    return version;
  };
}
