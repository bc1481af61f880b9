// A CMS's stand-in on loopback, as a Worker in a process of its own can reach it.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { bodyOf, fakeLibrary, type FakeLibrary, type FakeVendor } from "./fake-cms.ts";

export interface FakeCms extends Omit<FakeLibrary, "token" | "answer"> {
  /** The connection's `base_url`. */
  readonly url: string;
  /** `host:port`. */
  readonly origin: string;
  readonly token: string;
  stop(): Promise<void>;
}

export async function startFakeCms(vendor: FakeVendor): Promise<FakeCms> {
  const library = fakeLibrary(vendor);
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    const reply = async (): Promise<void> => {
      const url = new URL(request.url ?? "/", `http://${request.headers.host}`);
      const { method = "GET", headers } = request;
      const body = Buffer.concat(chunks).toString();
      const answer = await library.answer({ method, url, headers, body });
      if (answer === "hang") return;
      if (answer === "unreachable") {
        response.destroy();
        return;
      }
      const { type, bytes } = bodyOf(answer);
      response.writeHead(answer.status, { "content-type": type, ...answer.headers });
      response.end(answer.body === undefined ? undefined : bytes);
    };
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => void reply());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...library,
    token: library.token(),
    url: `http://127.0.0.1:${port}${vendor.basePath ?? ""}`,
    origin: `127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
