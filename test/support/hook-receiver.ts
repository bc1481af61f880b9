// A receiver of webhooks on loopback: keeps what it gets and answers as it is told.
import http from "node:http";
import type { AddressInfo } from "node:net";

export interface Delivery {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface HookReceiver {
  readonly url: string;
  /** `host:port`. */
  readonly origin: string;
  readonly deliveries: readonly Delivery[];
  /** The next deliveries are answered so, one each; then with 204. */
  answerNext(...answers: { readonly status: number; readonly location?: string }[]): void;
  stop(): Promise<void>;
}

export async function startHookReceiver(): Promise<HookReceiver> {
  const deliveries: Delivery[] = [];
  const answers: { readonly status: number; readonly location?: string }[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      );
      const body = Buffer.concat(chunks).toString();
      deliveries.push({ path: request.url ?? "", headers, body });
      const { status, location } = answers.shift() ?? { status: 204 };
      response.writeHead(status, location === undefined ? {} : { location }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    origin: `127.0.0.1:${port}`,
    deliveries,
    answerNext: (...next) => void answers.push(...next),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
