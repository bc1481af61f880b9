// Stand-ins for CMSs on loopback, each with the routes, statuses and payloads of the real one: what is uploaded,
// what is read and written, and the webhook that would be sent. The vendors' own parts are in fake-directus.ts,
// fake-strapi.ts and fake-site.ts.
import http from "node:http";
import type { AddressInfo } from "node:net";

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

export interface CmsRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface CmsAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes as they are, anything else as JSON; left out: nothing. */
  readonly body?: unknown;
}

/** What a vendor's stand-in is made of. */
export interface FakeVendor {
  readonly kind: "directus" | "strapi" | "standard";
  readonly hasTags: boolean;
  /** Whether an asset's bytes are at this path. */
  isFile(pathname: string): boolean;
  /** The name that an asset has there. */
  idOf(index: number): string;
  answer(request: CmsRequest, assets: Map<string, FakeAsset>, token: string): CmsAnswer;
  /** Undefined: the vendor sends none for this. */
  hook(
    event: "created" | "replaced" | "edited",
    asset: FakeAsset,
    secret: string,
  ): FakeHook | undefined;
}

export interface FakeCms {
  readonly vendor: FakeVendor;
  readonly url: string;
  readonly origin: string;
  readonly token: string;
  readonly assets: Map<string, FakeAsset>;
  /** `METHOD /path` of what was asked, without queries. */
  readonly asked: readonly string[];
  /** How often words were written to an asset over the API. */
  writes(id: string): number;
  add(asset: Partial<Omit<FakeAsset, "id">> & Pick<FakeAsset, "bytes">): FakeAsset;
  /** The next requests whose path matches are answered so, one each. */
  failNext(path: RegExp, ...answers: (CmsAnswer | "hang")[]): void;
  /** Runs before the `count`-th read of an asset's row from now is answered. */
  beforeRead(count: number, act: () => void): void;
  stop(): Promise<void>;
}

export async function startFakeCms(vendor: FakeVendor): Promise<FakeCms> {
  const assets = new Map<string, FakeAsset>();
  const asked: string[] = [];
  const writes = new Map<string, number>();
  const faults: { path: RegExp; answer: CmsAnswer | "hang" }[] = [];
  let added = 0;
  let reads: { left: number; act: () => void } | undefined;
  const token = `token-of-${vendor.kind}-0123456789`;
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const url = new URL(request.url ?? "/", `http://${request.headers.host}`);
      const { method = "GET", headers } = request;
      asked.push(`${method} ${url.pathname}`);
      const at = faults.findIndex(({ path }) => path.test(`${method} ${url.pathname}`));
      const fault = at < 0 ? undefined : faults.splice(at, 1)[0]?.answer;
      if (fault === "hang") return;
      if (method === "GET" && !vendor.isFile(url.pathname) && reads !== undefined) {
        reads.left -= 1;
        if (reads.left === 0) reads.act();
      }
      const body = Buffer.concat(chunks).toString();
      const answer = fault ?? vendor.answer({ method, url, headers, body }, assets, token);
      if (method !== "GET" && answer.status === 200) {
        const id = url.searchParams.get("id") ?? url.pathname.split("/").at(-1) ?? "";
        writes.set(id, (writes.get(id) ?? 0) + 1);
      }
      const isBytes = Buffer.isBuffer(answer.body);
      response.writeHead(answer.status, {
        ...(isBytes ? {} : { "content-type": "application/json" }),
        ...answer.headers,
      });
      response.end(
        answer.body === undefined ? undefined : isBytes ? answer.body : JSON.stringify(answer.body),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...{ vendor, assets, asked, token },
    url: `http://127.0.0.1:${port}`,
    origin: `127.0.0.1:${port}`,
    writes: (id) => writes.get(id) ?? 0,
    add(given) {
      const id = vendor.idOf((added += 1));
      const asset: FakeAsset = {
        ...{ id, name: `img-${added}.png`, mime: "image/png", uploads: 1 },
        ...{ alt: null, caption: null, tags: null },
        ...given,
      };
      assets.set(id, asset);
      return asset;
    },
    failNext: (path, ...answers) =>
      void faults.push(...answers.map((answer) => ({ path, answer }))),
    beforeRead(count, act) {
      reads = { left: count, act };
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The moment at which its bytes came, a different second each time. */
export const uploadedOn = ({ uploads }: FakeAsset): string =>
  new Date(Date.UTC(2026, 10, 23, 7, 16, uploads, 594)).toISOString();
