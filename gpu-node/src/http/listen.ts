// The door on a socket. Knows @hono/node-server and Node's limits on slow and large heads; what is
// answered is the app's business.
import { getRequestListener, RequestError } from "@hono/node-server";
import { AppError, problemResponse } from "@blip2-edge/shared/problem";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";

export interface Listener {
  readonly url: string;
  /** Takes no new connection, closes the idle ones; resolves when all are closed or the signal aborts. */
  close(signal: AbortSignal): Promise<void>;
}

export interface ListenOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly fetch: (request: Request) => Response | Promise<Response>;
}

const serverOptions = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  /** Head and body; the door's own bound on the body is shorter and gives a problem. */
  requestTimeout: 30_000,
  /** Longer than the edge keeps an idle connection, so that it never writes into a closing one. */
  keepAliveTimeout: 75_000,
  /** How often the timeouts above are looked at; Node's own half a minute would be longer than they are. */
  connectionsCheckingInterval: 2_000,
} as const;
const maxConnections = 1024;
const sweepMs = 50;

/** What no Request can be made of, a Host or an address that is none; the app answers its own errors. */
const beforeTheApp = (error: unknown): Response =>
  problemResponse(
    error instanceof RequestError
      ? new AppError("invalid_request", "The request's address cannot be read.")
      : error,
  );

const explain = (error: NodeJS.ErrnoException, host: string, port: number): AppError => {
  if (error.code === "EADDRINUSE") {
    return new AppError(
      "usage",
      `Port ${port} on ${host} is in use; end what listens there or give another --port (0 takes a free one).`,
    );
  }
  if (error.code === "EACCES") {
    return new AppError(
      "usage",
      `Port ${port} may not be opened; ports under 1024 need privileges.`,
    );
  }
  return new AppError("usage", `${host}:${port} cannot be listened on: ${error.message}.`);
};

/** Errors: `usage` that says why the address cannot be had. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host, port, fetch } = options;
  const answer = getRequestListener((request) => fetch(request), {
    hostname: host,
    errorHandler: beforeTheApp,
  });
  /** How many answers each connection waits for. Node counts one that never asked anything as busy. */
  const unanswered = new Map<Socket, number>();
  const server = createServer(serverOptions, (incoming, outgoing) => {
    const { socket } = incoming;
    const count = (step: number): void => {
      const before = unanswered.get(socket);
      if (before !== undefined) unanswered.set(socket, before + step);
    };
    count(1);
    outgoing.once("close", () => count(-1));
    void answer(incoming, outgoing);
  });
  server.on("connection", (socket) => {
    unanswered.set(socket, 0);
    socket.once("close", () => unanswered.delete(socket));
  });
  server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(explain(error, host, port)));
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return {
    url: `http://${shown}:${address.port}`,
    async close(signal) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // A connection whose last answer has just left is idle only then.
      const sweep = setInterval(() => {
        for (const [socket, answers] of unanswered) if (answers === 0) socket.destroy();
      }, sweepMs);
      const force = (): void => server.closeAllConnections();
      signal.addEventListener("abort", force, { once: true });
      if (signal.aborted) force();
      await closed;
      clearInterval(sweep);
      signal.removeEventListener("abort", force);
    },
  };
}
