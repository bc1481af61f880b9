// A way between two processes that can be cut: it stands before `target`, passes bytes both ways, and once cut passes
// none, while every connection stays open, as when a network drops packets. Whole again it passes what was held.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface Cuttable {
  readonly url: string;
  cut(): void;
  heal(): void;
  stop(): Promise<void>;
}

export async function startCuttable(target: string): Promise<Cuttable> {
  const { hostname, port } = new URL(target);
  const pairs = new Set<readonly [Socket, Socket]>();
  let whole = true;
  const join = ([near, far]: readonly [Socket, Socket]): void => {
    near.pipe(far);
    far.pipe(near);
  };
  const part = (pair: readonly [Socket, Socket]): void => {
    for (const [at, socket] of pair.entries()) {
      socket.unpipe(pair[1 - at]);
      socket.pause();
    }
  };
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const socket of pair) {
      socket.on("error", () => {});
      socket.once("close", () => {
        pairs.delete(pair);
        for (const each of pair) each.destroy();
      });
    }
    if (whole) join(pair);
    else part(pair);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      whole = false;
      for (const pair of pairs) part(pair);
    },
    heal() {
      // Joined twice, a pair would pass everything twice.
      if (whole) return;
      whole = true;
      for (const pair of pairs) join(pair);
    },
    async stop() {
      const closed = once(server, "close");
      server.close();
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      await closed;
    },
  };
}
