// Loopback servers for the conformance suite: the fixture behind the product's own way of answering, and the product
// itself with the key that the suite has no place for.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { problemResponse } from "@blip2-edge/shared/problem";
import { answerFrom, checkHostAndOrigin } from "../../mcp-server/src/http.ts";
import { fixtureServer } from "./fixture-server.ts";

export interface Served {
  readonly url: string;
  stop(): Promise<void>;
}

const hosts = ["localhost", "127.0.0.1", "[::1]"];

/** As edge/src/routes/mcp.ts does: Host and Origin first, then POST alone. */
async function answerFixture(request: Request, body: Uint8Array<ArrayBuffer>): Promise<Response> {
  try {
    checkHostAndOrigin(request.headers, hosts);
  } catch (error) {
    return problemResponse(error);
  }
  if (request.method !== "POST")
    return new Response(null, { status: 405, headers: { allow: "POST" } });
  return answerFrom(fixtureServer, { request, body, signal: request.signal });
}

export const serveFixture = (): Promise<Served> => serve(answerFixture);

/** Host and Origin go through as they came. */
export const serveWithKey = (workerUrl: string, key: string): Promise<Served> =>
  serve(async (request, body) => {
    const headers = Object.fromEntries(request.headers);
    return new Promise((resolve, reject) => {
      const more = { ...headers, authorization: `Bearer ${key}` };
      const options = { method: request.method, headers: more, signal: request.signal };
      http
        .request(new URL("/mcp", workerUrl), options, (response) => {
          const { statusCode: status = 500, headers: answered } = response;
          const type = answered["content-type"] ?? "text/plain";
          const stream = new ReadableStream({
            start(controller) {
              response.on("data", (chunk: Buffer) => controller.enqueue(new Uint8Array(chunk)));
              response.on("end", () => controller.close());
              response.on("error", (error) => controller.error(error));
            },
          });
          resolve(new Response(stream, { status, headers: { "content-type": type } }));
        })
        .on("error", reject)
        .end(body);
    });
  });

async function serve(
  answer: (request: Request, body: Uint8Array<ArrayBuffer>) => Promise<Response>,
): Promise<Served> {
  const server = http.createServer((incoming, outgoing) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      const body = new Uint8Array(Buffer.concat(chunks));
      const headers = new Headers();
      for (const [name, value] of Object.entries(incoming.headers))
        headers.set(name, String(value));
      const gone = new AbortController();
      outgoing.on("close", () => gone.abort());
      const { method = "GET" } = incoming;
      const request = new Request("http://127.0.0.1/mcp", { method, headers, signal: gone.signal });
      const response = await answer(request, body);
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      for await (const chunk of response.body ?? []) outgoing.write(chunk);
      outgoing.end();
    })().catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
