// A stand-in for a Hugging Face hub on loopback: `resolve` addresses with the hub's headers, large
// files redirected to a second server on another port as to a CDN. It misbehaves the way it is told,
// one fault per download, and remembers what it was asked.
import { createHash } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";

export type HubFault =
  /** Sends so many bytes, then cuts the connection. */
  | { readonly kind: "drop"; readonly afterBytes: number }
  /** Sends so many bytes, then nothing more. */
  | { readonly kind: "stall"; readonly afterBytes: number }
  /** The right length, one wrong byte. */
  | { readonly kind: "wrong_byte" }
  /** Answers a Range with 200 and everything. */
  | { readonly kind: "ignore_range" }
  /** Answers a Range with a 206 of another part. */
  | { readonly kind: "wrong_range" }
  /** Content-Length and body are shorter than the file. */
  | { readonly kind: "short"; readonly bytes: number }
  /** The body is longer than the file. */
  | { readonly kind: "long" }
  | { readonly kind: "redirect"; readonly location: string }
  | { readonly kind: "status"; readonly status: number; readonly headers?: Record<string, string> };

export interface HubRequestSeen {
  readonly server: "hub" | "cdn";
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

export interface FakeHubFile {
  readonly content: Buffer;
  /** Behind a redirect to the other server, named by SHA-256. */
  readonly large: boolean;
}

const digestOf = ({ content, large }: FakeHubFile): string =>
  large
    ? createHash("sha256").update(content).digest("hex")
    : createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");

const listen = (server: http.Server): Promise<string> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    });
  });

/** Answers a GET with the file's bytes, or with what the fault makes of them. */
function sendContent(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  { content }: FakeHubFile,
  fault: HubFault | undefined,
): void {
  if (fault?.kind === "status") {
    response.writeHead(fault.status, fault.headers).end();
    return;
  }
  if (fault?.kind === "redirect") {
    response.writeHead(302, { location: fault.location }).end();
    return;
  }
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
  const start = fault?.kind === "ignore_range" || asked === undefined ? 0 : Number(asked);
  if (start > 0 && start >= content.length) {
    response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    return;
  }
  const from = fault?.kind === "wrong_range" ? 0 : start;
  let body: Buffer = Buffer.from(content.subarray(from));
  if (fault?.kind === "wrong_byte") body[0] = (body[0] ?? 0) ^ 1;
  if (fault?.kind === "short") body = body.subarray(0, fault.bytes);
  if (fault?.kind === "long") body = Buffer.concat([body, Buffer.from("more")]);
  const range = `bytes ${from}-${content.length - 1}/${content.length}`;
  response.writeHead(start > 0 ? 206 : 200, {
    "content-length": body.length,
    ...(start > 0 ? { "content-range": range } : {}),
  });
  if (fault?.kind === "drop") {
    // A moment later, so that the bytes arrive before the cut does.
    response.write(body.subarray(0, fault.afterBytes), () => {
      setTimeout(() => response.destroy(), 30);
    });
  } else if (fault?.kind === "stall") response.write(body.subarray(0, fault.afterBytes));
  else response.end(body);
}

export interface FakeHubOptions {
  readonly repo: string;
  readonly commit: string;
  readonly files: Readonly<Record<string, FakeHubFile>>;
}

export async function startFakeHub({ repo, commit, files }: FakeHubOptions) {
  const seen: HubRequestSeen[] = [];
  const faults = new Map<string, HubFault[]>();
  /** Answers to every HEAD of a file, by its name. */
  const headAnswers = new Map<string, { status: number; headers: Record<string, string> }>();
  const remember = (server: "hub" | "cdn", { method, url, headers }: http.IncomingMessage) => {
    const { authorization, range } = headers;
    seen.push({ server, method: method ?? "", path: url ?? "", authorization, range });
  };

  const cdn = http.createServer((request, response) => {
    remember("cdn", request);
    const name = decodeURIComponent((request.url ?? "").slice(1));
    const file = Object.hasOwn(files, name) ? files[name] : undefined;
    if (file === undefined) response.writeHead(404).end();
    else sendContent(request, response, file, faults.get(name)?.shift());
  });
  const cdnUrl = await listen(cdn);

  const hub = http.createServer((request, response) => {
    remember("hub", request);
    const match = /^\/(.+)\/resolve\/([^/]+)\/(.+)$/.exec(request.url ?? "");
    const [, askedRepo, encoded = "", name = ""] = match ?? [];
    const revision = decodeURIComponent(encoded);
    const notFound = (code: string) => response.writeHead(404, { "x-error-code": code }).end();
    if (askedRepo !== repo) return notFound("RepoNotFound");
    if (!["main", "refs/pr/1", commit].includes(revision)) return notFound("RevisionNotFound");
    const scripted = request.method === "HEAD" ? headAnswers.get(name) : undefined;
    if (scripted !== undefined) return response.writeHead(scripted.status, scripted.headers).end();
    const file = Object.hasOwn(files, name) ? files[name] : undefined;
    if (file === undefined) return notFound("EntryNotFound");
    const etag = `"${digestOf(file)}"`;
    if (file.large) {
      return response
        .writeHead(302, {
          location: `${cdnUrl}/${name}`,
          "x-repo-commit": commit,
          "x-linked-etag": etag,
          "x-linked-size": String(file.content.length),
        })
        .end();
    }
    response.setHeader("x-repo-commit", commit);
    response.setHeader("etag", etag);
    if (request.method === "HEAD") {
      return response.writeHead(200, { "content-length": file.content.length }).end();
    }
    sendContent(request, response, file, faults.get(name)?.shift());
    return response;
  });
  const url = await listen(hub);

  return {
    url,
    cdnUrl,
    seen,
    headAnswers,
    digestOf: (name: string): string => {
      const file = files[name];
      if (file === undefined) throw new Error(`no file ${name}`);
      return digestOf(file);
    },
    /** The next downloads of a file go wrong in this order, later ones go well. */
    fail: (name: string, ...next: readonly HubFault[]) => void faults.set(name, [...next]),
    downloads: (name: string) =>
      seen.filter(({ method, path }) => method === "GET" && path.endsWith(`/${name}`)),
    async close(): Promise<void> {
      for (const server of [hub, cdn]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

export type FakeHub = Awaited<ReturnType<typeof startFakeHub>>;
