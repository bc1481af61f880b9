// What the Worker does when its module is evaluated, before any request: counted in calls of functions by the profiler of
// workerd, which every run of the same bundle makes alike, whatever else the machine does. Not its time, which
// `wrangler check startup` samples; calls into the engine itself (a regular expression, JSON) count as none.
import { Miniflare, Log, LogLevel, type MiniflareOptions } from "miniflare";
import { readWorkerConfig, type WorkerBundle } from "../start/worker-bundle.ts";
import { withoutNewSignalHandlers } from "../start/workerd-children.ts";

export interface WorkerStart {
  /** Different functions that were called. */
  readonly functions: number;
  readonly calls: number;
}

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

const name = "profiled";
const entry = "measure-start.js";
const timeoutMs = 60_000;

/** A session with the inspector: one command after another. */
async function inspect(url: URL) {
  const socket = new WebSocket(url);
  const signal = AbortSignal.timeout(timeoutMs);
  const heard = (type: string): Promise<Event> =>
    new Promise((resolve, reject) => {
      const broken = (): void => reject(new Error("the inspector went away"));
      socket.addEventListener(type, resolve, { once: true, signal });
      socket.addEventListener("close", broken, { once: true, signal });
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
  await heard("open");
  let id = 0;
  return {
    async send<Result>(method: string, params: object = {}): Promise<Result> {
      id += 1;
      socket.send(JSON.stringify({ id, method, params }));
      for (;;) {
        const { data } = (await heard("message")) as MessageEvent<string>;
        const answer = JSON.parse(data) as { id?: number; result?: Result; error?: unknown };
        if (answer.id !== id) continue;
        if (answer.result === undefined) throw new Error(`${method}: ${JSON.stringify(answer)}`);
        return answer.result;
      }
    },
    close: () => socket.close(),
  };
}

export async function measureStart(bundle: WorkerBundle): Promise<WorkerStart> {
  const config = await readWorkerConfig();
  const contents = `export default {
    async fetch() {
      await import("./${bundle.mainModule}");
      return new Response("ok");
    },
  };`;
  const settings = {
    ...{ host: "127.0.0.1", port: 0, cf: false, inspectorPort: 0, telemetry: { enabled: false } },
    log: new Log(LogLevel.NONE),
    workers: [
      {
        config: {
          name,
          compatibilityDate: config.compatibility_date,
          compatibilityFlags: config.compatibility_flags,
          manifest: {
            mainModule: entry,
            modulesRoot: bundle.modulesRoot,
            modules: { ...bundle.modules, [entry]: { type: "esm", contents } },
          },
          env: {},
        },
      },
    ],
  } as unknown as MiniflareOptions;
  const miniflare = withoutNewSignalHandlers(() => new Miniflare(settings));
  try {
    await miniflare.ready;
    const session = await inspect(
      new URL(`/core:user:${name}`, (await miniflare.getInspectorURL()).href),
    );
    await session.send("Profiler.enable");
    await session.send("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
    const response = await miniflare.dispatchFetch("http://worker.test/");
    if (!response.ok) throw new Error(`the Worker does not start: ${await response.text()}`);
    const { result } = await session.send<Coverage>("Profiler.takePreciseCoverage");
    session.close();
    const counts = result
      .filter(({ url }) => url.endsWith(bundle.mainModule))
      .flatMap(({ functions }) => functions.map(({ ranges }) => ranges[0]?.count ?? 0))
      .filter((count) => count > 0);
    return { functions: counts.length, calls: counts.reduce((sum, count) => sum + count, 0) };
  } finally {
    await miniflare.dispose();
  }
}
