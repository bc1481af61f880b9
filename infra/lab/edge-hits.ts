// Hits of the cache beside a Worker that does one match of the Cache API of the same size: in the same run, by
// the same client, on the same machine; with the isolate's own tier and without it; and with the picture's
// origin asked whether it has changed. The client and the origin take their part of the machine, so the CPU time
// of workerd for each request stands beside the rates. Never the rates of production: they are for comparison.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { Miniflare, type MiniflareOptions } from "miniflare";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { startFakeNode } from "../../test/support/fake-node.ts";
import { drawnPhoto } from "../../test/support/photos.ts";
import { startWorker, type RunningWorker } from "../start/worker.ts";
import { processCpuMs } from "./process-cpu.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "16" },
  },
});
const [seconds, rounds, connections] = [values.seconds, values.rounds, values.connections].map(
  Number,
) as [number, number, number];

interface Asked {
  readonly url: string;
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}
interface Variant {
  readonly name: string;
  readonly asked: Asked;
  readonly pids: readonly { readonly pid: number }[];
  /** What the answers must have said: a run of misses is no run of hits. */
  readonly served?: string;
  readonly status?: number;
}
interface Measured {
  readonly perSecond: number;
  readonly cpuMs: number;
  readonly p99Ms: number;
}

const agent = new http.Agent({ keepAlive: true, maxSockets: connections });

function send({ url, method = "GET", headers = {}, body }: Asked): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": String(body.length) };
    const request = http.request(url, { agent, method, headers: { ...headers, ...length } });
    request.on("error", reject);
    request.on("response", (response) => {
      response.resume();
      response.on("error", reject);
      response.on("end", () => resolve(response));
    });
    request.end(body);
  });
}

async function once({ asked, served, status = 200, name }: Variant): Promise<void> {
  const response = await send(asked);
  const said = response.headers["blip2-served"];
  if (response.statusCode !== status || (served !== undefined && said !== served)) {
    throw new Error(`${name}: ${response.statusCode}, served ${String(said)}`);
  }
}

async function measure(variant: Variant, ms: number): Promise<Measured> {
  const tookMs: number[] = [];
  const cpuBefore = processCpuMs(variant.pids);
  const from = performance.now();
  const until = from + ms;
  const client = async (): Promise<void> => {
    while (performance.now() < until) {
      const begun = performance.now();
      await once(variant);
      tookMs.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  const elapsedS = (performance.now() - from) / 1000;
  const sorted = tookMs.toSorted((a, b) => a - b);
  return {
    perSecond: tookMs.length / elapsedS,
    cpuMs: (processCpuMs(variant.pids) - cpuBefore) / tookMs.length,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? NaN,
  };
}

/** A Worker that answers with what one match of the Cache API gives, `bytes` long. */
async function startPlain(bytes: number) {
  const script = `export default { async fetch() {
    const cache = await caches.open("plain");
    const found = await cache.match("https://plain.invalid/answer");
    if (found !== undefined) return found;
    const headers = { "content-type": "application/json", "cache-control": "max-age=3600" };
    await cache.put("https://plain.invalid/answer", new Response("x".repeat(${bytes}), { headers }));
    return new Response("stored");
  } }`;
  const miniflare = new Miniflare({
    ...{ host: "127.0.0.1", port: 0, cf: false, telemetry: { enabled: false } },
    workers: [
      {
        config: {
          ...{ name: "plain", compatibilityDate: "2026-11-01", env: {}, exports: {} },
          manifest: {
            ...{ mainModule: "index.js", modulesRoot: import.meta.dirname },
            modules: { "index.js": { type: "esm", contents: script } },
          },
        },
        dev: { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] },
      },
    ],
  } as unknown as MiniflareOptions);
  await miniflare.ready;
  const { origin } = await miniflare.unsafeGetDirectURL("plain");
  return { url: origin, stop: () => miniflare.dispose() };
}

const median = (list: readonly number[]): number =>
  list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? NaN;

/** Serves one picture: `/fresh` for an hour, anything else to be asked for each time, with a tag. */
async function startOrigin(file: Uint8Array) {
  const server = http.createServer(({ url, headers }, response) => {
    const age = url === "/fresh" ? 3600 : 0;
    const same = headers["if-none-match"] === '"1"';
    response.writeHead(same ? 304 : 200, { etag: '"1"', "cache-control": `max-age=${age}` });
    response.end(same ? undefined : file);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { host: `127.0.0.1:${port}`, stop: () => server.close() };
}

const gradient = (_x: number, y: number, _channel: number, random: number): number =>
  (y & 127) + (random % 24);
const file = await drawnPhoto(gradient, [1200, 833]);
const origin = await startOrigin(file);
const node = await startFakeNode();
const vars = { KEY_TTL_MS: "600000", CATALOG_TTL_MS: "600000", PURGE_TTL_MS: "600000" };
const { key } = await createApiKey();
const start = async (more: Record<string, string> = {}) => {
  const worker = await startWorker({
    ...{ port: 0, nodeUrl: node.url, nodeKeys: node.keys, allowFetch: [origin.host] },
    vars: { ...vars, ...more },
  });
  await worker.putKey({ key, tenant: "lab", name: "lab" });
  return worker;
};
/** Miniflare does not tell the ids of its processes: those are a Worker's that are new after its start. */
const near = await start();
const nearPids = near.pids();
const far = await start({ CACHE_MEMORY_BYTES: "0" });
const farPids = far.pids();
const headers = { authorization: `Bearer ${key}` };
const captionOf = (path: string, worker: RunningWorker): Asked => ({
  url: `${worker.url}/v1/caption?url=${encodeURIComponent(`http://${origin.host}${path}`)}`,
  headers,
});

// One answer tells how long they are, and what a repeated GET asks with.
const first = await fetch(captionOf("/fresh", near).url, { headers });
const answer = await first.text();
const { image_id: imageId } = JSON.parse(answer) as { image_id: string };
const tag = first.headers.get("etag") ?? "";
const plain = await startPlain(answer.length);
const plainPids = far.pids().filter(({ pid }) => !farPids.some((one) => one.pid === pid));

const boundary = "lab-boundary";
const uploaded = Buffer.concat([
  Buffer.from(
    `--${boundary}\r\ncontent-disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n`,
  ),
  file,
  Buffer.from(`\r\n--${boundary}--\r\n`),
]);
const upload = (worker: RunningWorker): Asked => ({
  ...{ url: `${worker.url}/v1/caption`, method: "POST", body: uploaded },
  headers: { ...headers, "content-type": `multipart/form-data; boundary=${boundary}` },
});
const byId = (worker: RunningWorker): Asked => ({
  ...{ url: `${worker.url}/v1/caption`, method: "POST" },
  body: Buffer.from(JSON.stringify({ image: { image_id: imageId } })),
  headers: { ...headers, "content-type": "application/json" },
});
const get = captionOf("/fresh", near);
const hitsOf = (worker: RunningWorker, pids: Variant["pids"], tier: string): Variant[] => [
  { name: `GET by URL, ${tier}`, asked: captionOf("/fresh", worker), pids, served: "cache" },
  { name: `POST by image_id, ${tier}`, asked: byId(worker), pids, served: "cache" },
  {
    ...{ name: `POST of the file (${file.length >> 10} KB), ${tier}`, pids, served: "cache" },
    asked: upload(worker),
  },
];
const variants: Variant[] = [
  { name: "plain: one Cache API match", asked: { url: plain.url }, pids: plainPids },
  ...hitsOf(near, nearPids, "three tiers"),
  ...hitsOf(far, farPids, "without the isolate's"),
  {
    ...{ name: "GET by URL, 304 to the caller", pids: nearPids, served: "cache", status: 304 },
    asked: { ...get, headers: { ...headers, "if-none-match": tag } },
  },
  {
    ...{ name: "GET by URL, its origin asked (304)", pids: nearPids, served: "revalidated" },
    asked: captionOf("/asked", near),
  },
];

try {
  for (const { asked } of variants) for (let index = 0; index < 20; index++) await send(asked);
  const seen = new Map<string, Measured[]>(variants.map(({ name }) => [name, []]));
  // In turns, so that what else the machine does falls on all of them.
  for (let round = 0; round <= rounds; round++) {
    for (const variant of variants) {
      const measured = await measure(variant, round === 0 ? 1000 : seconds * 1000);
      // The first round warms the engines up.
      if (round > 0) seen.get(variant.name)?.push(measured);
    }
  }
  const of = (name: string, what: keyof Measured): number =>
    median((seen.get(name) ?? []).map((measured) => measured[what]));
  const [{ name: plainName }] = variants as [Variant];
  console.log(
    `Answers of ${answer.length} bytes, ${connections} connections, medians of ${rounds} rounds of ${seconds} s, Node ${process.version}.\n`,
  );
  console.log("| what | requests/s | of plain | p99, ms | workerd CPU, ms/request |");
  console.log("| --- | --- | --- | --- | --- |");
  for (const { name } of variants) {
    const perSecond = of(name, "perSecond");
    console.log(
      `| ${name} | ${perSecond.toFixed(0)} | ${(perSecond / of(plainName, "perSecond")).toFixed(2)} | ` +
        `${of(name, "p99Ms").toFixed(0)} | ${of(name, "cpuMs").toFixed(2)} |`,
    );
  }
} finally {
  agent.destroy();
  await Promise.all([near.stop(), far.stop(), plain.stop(), node.stop()]);
  origin.stop();
}
