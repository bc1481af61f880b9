// Pictures by URL: what is fetched, what is refused, and that no answer tells why.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Miniflare } from "miniflare";
import { internetWorker } from "../../infra/start/worker-networks.ts";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { html, jpeg } from "../support/pictures.ts";

let edge: Edge;
let picture: Buffer;
/** A private origin that the Worker may fetch from, and one beside it that it may not. */
let allowed: http.Server;
let inner: http.Server;
let allowedHost: string;
let innerHost: string;
let innerHits = 0;
const publicFetches: string[] = [];

const listen = (server: http.Server): Promise<string> =>
  new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () =>
      resolve(`127.0.0.1:${(server.address() as AddressInfo).port}`),
    ),
  );

beforeAll(async () => {
  picture = await jpeg(9);
  inner = http.createServer((_, response) => {
    innerHits += 1;
    response.end(picture);
  });
  innerHost = await listen(inner);
  allowed = http.createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://origin");
    const to = url.searchParams.get("to");
    switch (url.pathname) {
      case "/redirect":
        response.writeHead(302, { location: to ?? "" });
        return void response.end();
      case "/loop":
        response.writeHead(302, { location: "/loop" });
        return void response.end();
      case "/nowhere":
        response.writeHead(302);
        return void response.end();
      case "/html":
        response.writeHead(200, { "content-type": "image/jpeg" });
        return void response.end(html);
      case "/wrong-type":
        response.writeHead(200, { "content-type": "text/html" });
        return void response.end(picture);
      case "/404":
        response.writeHead(404);
        return void response.end("nothing");
      case "/empty":
        return void response.end();
      case "/drip": {
        response.writeHead(200, { "content-type": "image/jpeg" });
        const timer = setInterval(() => response.write("x"), 50);
        return void response.on("close", () => clearInterval(timer));
      }
      case "/announced":
        response.writeHead(200, { "content-length": "30000000" });
        return void response.write("x");
      case "/endless": {
        const chunk = Buffer.alloc(200_000);
        const timer = setInterval(() => response.write(chunk), 1);
        return void response.on("close", () => clearInterval(timer));
      }
      case "/broken":
        response.writeHead(200, { "content-length": "1000" });
        response.write(picture.subarray(0, 100));
        setTimeout(() => response.socket?.destroy(), 20);
        return;
      default:
        return void response.end(picture);
    }
  });
  allowedHost = await listen(allowed);
  edge = await startEdge({
    allowFetch: [allowedHost],
    vars: { FETCH_TIMEOUT_MS: "900" },
    internet: (request) => {
      publicFetches.push(request.url);
      const url = new URL(request.url);
      const to = url.searchParams.get("to");
      return to === null
        ? new Response(new Uint8Array(picture))
        : new Response(null, { status: 307, headers: { location: to } });
    },
  });
});
afterAll(async () => {
  await edge?.stop();
  allowed.closeAllConnections();
  allowed.close();
  inner.close();
});

const byUrl = (url: string) => edge.json("/v1/caption", { image: { url } });

describe("200", () => {
  test("from a public host, an allowed private origin, after redirects, whatever Content-Type says", async () => {
    for (const url of [
      "https://pictures.example.com/a.jpg",
      `http://${allowedHost}/a.jpg`,
      `http://${allowedHost}/wrong-type`,
      `http://${allowedHost}/redirect?to=/redirect%3Fto=/a.jpg`,
      "https://pictures.example.com/?to=/a.jpg",
    ]) {
      const response = await byUrl(url);
      expect(response.status, `${url} ${await response.clone().text()}`).toBe(200);
    }
    expect(edge.lastEvent()).toMatchObject({
      image_redirects: 1,
      image_host: "pictures.example.com",
    });
  });

  test("and no credential of the caller travels with it", async () => {
    let seen: http.IncomingHttpHeaders = {};
    allowed.once("request", (request: http.IncomingMessage) => {
      seen = request.headers;
    });
    await byUrl(`http://${allowedHost}/headers.jpg`);
    expect(seen["authorization"]).toBeUndefined();
    expect(seen["cookie"]).toBeUndefined();
  });
});

describe("refused", () => {
  const words = new Set<string>();
  const targets = (): [string, RegExp][] => [
    [`http://${innerHost}/`, /port|loopback/],
    ["http://127.0.0.1/", /loopback/],
    ["http://169.254.169.254/latest/meta-data/", /linkLocal/],
    ["http://[::ffff:7f00:1]/", /ipv4Mapped/],
    ["http://[::1]:8080/", /loopback/],
    ["http://0x7f.1/", /loopback/],
    ["http://localhost/", /single_label/],
    ["file:///etc/passwd", /scheme/],
    ["http://u:p@pictures.example.com/a.jpg", /credentials/],
    ["http://pictures.example.com:22/a.jpg", /port:22/],
  ];

  test("directly, with the reason in the log and the same words outside", async () => {
    for (const [url, reason] of targets()) {
      const problem = await expectProblem(await byUrl(url), "url_refused", "caption");
      words.add(problem.detail ?? "");
      expect(edge.lastEvent()["internal"]).toMatch(reason);
    }
    const get = await edge.call(`/v1/caption?url=${encodeURIComponent("http://127.0.0.1/")}`);
    const problem = await expectProblem(get, "url_refused", "captionByUrl");
    words.add(problem.detail ?? "");
    expect(words.size).toBe(1);
    expect(innerHits).toBe(0);
  });

  test("as the target of a redirect from a public host, or from an allowed origin", async () => {
    for (const [url, reason] of targets()) {
      for (const first of [
        `https://pictures.example.com/?to=${encodeURIComponent(url)}`,
        `http://${allowedHost}/redirect?to=${encodeURIComponent(url)}`,
      ]) {
        const problem = await expectProblem(await byUrl(first), "url_refused", "caption");
        words.add(problem.detail ?? "");
        expect(edge.lastEvent()["internal"]).toMatch(/^hop 1: /);
        expect(edge.lastEvent()["internal"]).toMatch(reason);
      }
    }
    expect(words.size).toBe(1);
    expect(innerHits).toBe(0);
  });
});

describe("failed", () => {
  test.each([
    ["HTML", "/html", "image_not_recognised"],
    ["404", "/404", "fetch_failed"],
    ["an empty file", "/empty", "fetch_failed"],
    ["redirects without end", "/loop", "fetch_failed"],
    ["a redirect to nowhere", "/nowhere", "fetch_failed"],
    ["a connection that breaks", "/broken", "fetch_failed"],
    ["a slow drip", "/drip", "fetch_timeout"],
    ["30 MB, announced", "/announced", "fetch_too_large"],
    ["a file without end", "/endless", "fetch_too_large"],
  ] as const)("%s", async (_, path, code) => {
    const startedAt = Date.now();
    await expectProblem(await byUrl(`http://${allowedHost}${path}`), code, "caption");
    expect(Date.now() - startedAt).toBeLessThan(3000);
  });
});

describe("the second wall: the network of the local stack", () => {
  test("a private address is not reached by `fetch`, whatever name leads there", async () => {
    const probe = new Miniflare({
      cf: false,
      telemetry: { enabled: false },
      workers: [
        {
          config: {
            name: "probe",
            compatibilityDate: "2026-11-01",
            manifest: {
              mainModule: "index.js",
              modulesRoot: import.meta.dirname,
              modules: {
                "index.js": {
                  type: "esm",
                  contents: `export default { async fetch(request) {
                    try {
                      const response = await fetch(await request.text());
                      return new Response("reached " + response.status);
                    } catch { return new Response("not reached"); }
                  } };`,
                },
              },
            },
          },
          dev: { outboundService: { type: "worker", worker: "internet" } },
        },
        internetWorker,
      ],
    });
    try {
      const url = await probe.ready;
      const port = innerHost.split(":")[1] ?? "";
      const before = innerHits;
      for (const host of ["127.0.0.1", "localhost", "localhost.", "[::ffff:127.0.0.1]"]) {
        const response = await fetch(url, { method: "POST", body: `http://${host}:${port}/` });
        expect(await response.text(), host).not.toBe("reached 200");
      }
      expect(innerHits).toBe(before);
    } finally {
      await probe.dispose();
    }
  });
});
