// Ten thousand requests that are wrong in some way, from one seed: each is refused with a 4xx problem, or by a
// closed connection where HTTP itself is broken; door and engine stay who they are and keep nothing of it.
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fromProblem } from "@blip2-edge/shared/problem";
import { framedType } from "@blip2-edge/shared/wire/frame";
import type { Catalog } from "@blip2-edge/shared/wire/protocol";
import { createSigner, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { afterAll, beforeAll, expect, test } from "vitest";
import { answerOf, type NodeClient, nodeClient } from "../support/node-client.ts";
import { nodeKeys, serveNode, type ServedNode } from "../support/served-node.ts";
import { buildTinyPair, pairSize } from "../support/tiny-pair.ts";
import { badBody, type GoodRequest } from "./bad-bodies.ts";
import { type RawAttack, rawAttack } from "./raw-attacks.ts";
import { type Random, seededRandom } from "./random.ts";

const seed = 4;
const warmUpRequests = 2_000;
const allRequests = 10_000;
const senders = 6;
/** Of the door after garbage collection, over 8,000 requests: their nonces are about 1.5 MB of it. */
const maxGrowthBytes = 8 * 1024 * 1024;
/** Pages that the allocator keeps; a leak of the bodies sent would be hundreds of megabytes. */
const maxRssGrowthBytes = 96 * 1024 * 1024;

let folder: string;
let node: ServedNode;
let client: NodeClient;
let good: GoodRequest[];
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "blip2-malformed-"));
  const { writer, comparer } = await buildTinyPair(folder);
  node = await serveNode({ models: [writer, comparer], probed: true });
  client = await nodeClient(node.url);
  const headers = await client.sign("GET", "/v1/catalog");
  const { models } = (await (await fetch(`${node.url}/v1/catalog`, { headers })).json()) as Catalog;
  const pixels = new Uint8Array(pairSize ** 2 * 3).fill(77);
  const about = (name: string) => ({
    model: name,
    model_revision: models.find(({ model }) => model === name)?.model_revision,
    partition: "f".repeat(32),
    image: { image_id: `img_${"e".repeat(64)}`, size: pairSize },
    deadline_ms: 20_000,
  });
  const request = (at: GoodRequest["path"], json: object) => ({
    path: at,
    json: JSON.stringify(json),
    pixels,
  });
  good = [
    request("/v1/infer", {
      ...about("writer"),
      texts: [null, "a cat"],
      generation: { max_new_tokens: 4, num_beams: 2, temperature: 0.7 },
    }),
    request("/v1/match", { ...about("comparer"), texts: ["a dog"], scores: ["itm", "itc"] }),
    request("/v1/embed", { ...about("comparer"), features: "query" }),
  ];
});
afterAll(async () => {
  await node?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What is wrong with the signature; the body may be as good as it likes. */
type Forge = (headers: Record<string, string>, random: Random) => Record<string, string>;
const tamper =
  (name: string, change: (value: string, random: Random) => string): Forge =>
  (headers, random) => ({ ...headers, [name]: change(headers[name] ?? "", random) });
const without =
  (name: string): Forge =>
  ({ [name]: _, ...headers }) =>
    headers;
const forgeries: readonly Forge[] = [
  without("signature"),
  without("signature-input"),
  without("content-digest"),
  without("blip2-protocol"),
  tamper("signature", (value) => value.replace(/:[^:]{4}/, ":AAAA")),
  tamper("signature", (_, random) => `blip2=:${Buffer.from(random.bytes(32)).toString("base64")}:`),
  tamper("signature", (_, random) => random.text(50)),
  tamper("signature", (value) => `${value}, ${value}`),
  tamper("signature", () => "x".repeat(4000)),
  tamper("signature-input", (value) => value.replace("blip2=", "other=")),
  tamper("signature-input", (value) => value.replace('"@method" ', "")),
  tamper("signature-input", (value) => value.replace(/nonce="[^"]*"/, 'nonce="short"')),
  tamper("signature-input", (value) => value.replace(/;expires=\d+/, "")),
  tamper("signature-input", (value) => value.replace(/expires=\d+/, "expires=99999999999")),
  tamper("signature-input", (value) => value.replace(/created=\d+/, "created=1")),
  tamper("signature-input", (value) => value.replace('keyid="test"', 'keyid="nobody"')),
  tamper("signature-input", (value) => value.replace("blip2-edge/node", "elsewhere")),
  tamper("signature-input", (value, random) => value.slice(0, random.int(value.length))),
  tamper("signature-input", (_, random) => `blip2=${random.text(200)}`),
  tamper("signature-input", () => `blip2=${"(".repeat(1500)}`),
  tamper("content-digest", () => "sha-256=:AAAA:"),
  tamper("content-digest", (value) => `${value}, ${value}`),
  tamper("content-type", () => "text/plain"),
  tamper("blip2-protocol", () => "2"),
];
const keys = parseSigningKeys(nodeKeys);
const signers = {
  stranger: createSigner({ keys: parseSigningKeys("stranger:0123456789abcdef0123456789abcdef") }),
  wrongSecret: createSigner({ keys: parseSigningKeys("test:ffffffffffffffffffffffffffffffff") }),
  expired: createSigner({ keys, now: () => Date.now() - 3_600_000 }),
  future: createSigner({ keys, now: () => Date.now() + 3_600_000 }),
  tooLong: createSigner({ keys, lifetimeS: 3600 }),
};

/** What became of requests: by how each was refused. */
type Count = Map<string, number>;
interface Attack {
  readonly requests: number;
  send(): Promise<string[]>;
}

async function outcomeOf(response: Response): Promise<string> {
  const type = response.headers.get("content-type");
  const text = await response.text();
  const problem = type === "application/problem+json" ? fromProblem(JSON.parse(text)) : undefined;
  return `${response.status} ${problem?.code ?? `no problem: ${text.slice(0, 200)}`}`;
}

const post = async (
  at: string,
  headers: Record<string, string>,
  body: Uint8Array,
  method = "POST",
): Promise<string> =>
  outcomeOf(
    await fetch(`${node.url}${at}`, {
      method,
      headers,
      ...(method === "GET" ? {} : { body: body as Uint8Array<ArrayBuffer> }),
    }),
  );

const one = (send: () => Promise<string>): Attack => ({
  requests: 1,
  send: async () => [await send()],
});

function wrongBody(random: Random): Attack {
  const { path: at, body, contentType } = badBody(good, random);
  return one(async () => post(at, await client.sign("POST", at, body, contentType), body));
}

function wrongSignature(random: Random): Attack {
  const { path: at, json } = random.pick(good);
  const body = new TextEncoder().encode(json);
  const type = "application/json";
  const kind = random.int(4);
  if (kind === 0) {
    const signer = random.pick(Object.values(signers));
    return one(async () => {
      const url = `${node.url}${at}`;
      return post(at, await signer.sign({ method: "POST", url, body, contentType: type }), body);
    });
  }
  if (kind === 1) {
    // Signed for something else: another route, method, body of the same length, query.
    const other = random.int(4);
    return one(async () => {
      const headers = await client.sign(
        other === 0 ? "PUT" : "POST",
        other === 1 ? "/v1/elsewhere" : at,
        other === 2 ? body.toReversed() : body,
        type,
      );
      return post(other === 3 ? `${at}?x=1` : at, headers, body);
    });
  }
  const forge = random.pick(forgeries);
  return one(async () => post(at, forge(await client.sign("POST", at, body, type), random), body));
}

/** A request that is refused for its body, and the same again and again. */
function replayed(random: Random): Attack {
  const { path: at, body, contentType } = badBody(good, random);
  const times = 2 + random.int(3);
  return {
    requests: times,
    async send() {
      const headers = await client.sign("POST", at, body, contentType);
      const outcomes: string[] = [];
      for (let time = 0; time < times; time++) outcomes.push(await post(at, headers, body));
      const again = outcomes.slice(1).filter((outcome) => outcome !== "401 signature_invalid");
      return again.length > 0 ? [`replayed: ${again.join()}`] : outcomes;
    },
  };
}

function wrongPlace(random: Random): Attack {
  const method = random.pick(["GET", "PUT", "DELETE", "PATCH", "POST"]);
  const unknown = ["/", "/v1", "/v1/infer/x", "/healthz/x", "/__proto__", "/v1/%2e%2e/metrics"];
  const at = random.pick(method === "POST" ? unknown : [...unknown, "/v1/infer", "/v1/match"]);
  const body = method === "GET" ? new Uint8Array() : random.bytes(10);
  const type = method === "GET" ? undefined : "application/json";
  return one(async () => post(at, await client.sign(method, at, body, type), body, method));
}

/** Larger than any request: said before it is sent, or found out while it arrives. */
function tooLarge(random: Random): Attack {
  const saysSo = random.int(2) === 0;
  return one(async () => {
    const at = "/v1/infer";
    const headers = await client.sign("POST", at, new Uint8Array(1), framedType);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    const chunk = "x".repeat(65_536);
    const length = saysSo ? "content-length: 5000000" : "transfer-encoding: chunked";
    const start = [`POST ${at} HTTP/1.1`, "host: node", length, ...lines, "", ""].join("\r\n");
    const rest = saysSo ? chunk : `10000\r\n${chunk}\r\n`.repeat(80);
    const bytes = Buffer.from(start + rest);
    return (await sendRaw({ bytes, requests: 1, then: "wait" })).join();
  });
}

/** One outcome per answer; a connection that is closed without one is a refusal too. */
function sendRaw({ bytes, then }: RawAttack): Promise<string[]> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(node.url);
    let answer = "";
    const socket = connect({ host: hostname, port: Number(port) });
    const done = (): void => {
      clearTimeout(bound);
      socket.destroy();
      const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)]
        .map(([, status]) => `${status} raw`)
        .filter((status) => status !== "100 raw");
      resolve(statuses.length === 0 ? ["closed"] : statuses);
    };
    const bound = setTimeout(() => {
      answer += "left open";
      resolve([`left open after ${answer.slice(0, 100)}`]);
      socket.destroy();
    }, 20_000);
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      answer += text;
      // An answer to what the door reads no further: nobody waits for the connection's end.
      if (then === "wait" && answer.includes("\r\n\r\n") && !answer.startsWith("HTTP/1.1 100"))
        done();
    });
    socket.on("close", done);
    socket.on("error", () => {});
    socket.write(bytes, () => {
      if (then === "end") socket.end();
      if (then === "reset") socket.resetAndDestroy();
    });
  });
}

function raw(random: Random): Attack {
  const attack = rawAttack(random);
  return { requests: attack.requests, send: () => sendRaw(attack) };
}

/** In the proportions in which they are told apart: bodies have most ways of being wrong. */
const kinds: readonly (readonly [share: number, attack: (random: Random) => Attack])[] = [
  [40, wrongBody],
  [24, wrongSignature],
  [22, raw],
  [8, replayed],
  [5, wrongPlace],
  [1, tooLarge],
];

function draw(random: Random): Attack {
  let share = random.int(kinds.reduce((sum, [each]) => sum + each, 0));
  for (const [each, attack] of kinds) {
    if (share < each) return attack(random);
    share -= each;
  }
  throw new Error("unreachable");
}

/** Sends as many requests, a few at a time; every answer is counted by what it was. */
async function sendMany(random: Random, requests: number, count: Count): Promise<void> {
  let left = requests;
  const sender = async (): Promise<void> => {
    while (left > 0) {
      const attack = draw(random);
      left -= attack.requests;
      for (const outcome of await attack.send()) count.set(outcome, (count.get(outcome) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: senders }, sender));
}

/** A connection on which little or nothing comes; resolves when the door has closed it. */
function slowSender(firstBytes: string, drip: string): Promise<{ answer: string; tookMs: number }> {
  const { hostname, port } = new URL(node.url);
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    let answer = "";
    const dripping = setInterval(() => drip !== "" && socket.write(drip), 500);
    socket.setEncoding("latin1").on("data", (text: string) => (answer += text));
    socket.on("error", () => {});
    socket.on("close", () => {
      clearInterval(dripping);
      resolve({ answer, tookMs: performance.now() - startedAt });
    });
    if (firstBytes !== "") socket.write(firstBytes);
  });
}

const numberOf = (value: unknown): number => Number(value);

test(
  "10,000 malformed requests: each refused, nobody dies, nothing leaks, and good ones are answered",
  { timeout: 240_000 },
  async () => {
    const before = await answerOf(await client.infer());
    const door = node.pid;
    const engine = await node.enginePid();
    const random = seededRandom(seed);
    const count: Count = new Map();

    // They hold their connections while everything else happens.
    const slow = Promise.all([
      ...Array.from({ length: 20 }, () => slowSender("", "")),
      ...Array.from({ length: 20 }, () => slowSender("POST /v1/infer HTTP/1.1\r\nhost: x\r\n", "")),
      ...Array.from({ length: 20 }, () =>
        slowSender("POST /v1/infer HTTP/1.1\r\nhost: x\r\n", "x: y\r\n"),
      ),
    ]);
    await sendMany(random, warmUpRequests, count);
    const warm = await node.probe();
    await sendMany(random, allRequests - warmUpRequests, count);
    for (const { answer, tookMs } of await slow) {
      expect(answer).toMatch(/^(HTTP\/1\.1 408 |$)/);
      expect(tookMs).toBeLessThan(30_000);
    }
    await sleep(200);
    const end = await node.probe();

    const wrong = [...count].filter(([outcome]) => !/^(4\d\d [a-z_]+|closed)$/.test(outcome));
    expect(wrong).toEqual([]);
    const refused = [...count.values()].reduce((sum, each) => sum + each, 0);
    expect(refused).toBeGreaterThan(allRequests * 0.95);
    // Every door that a request can fail at was tried.
    for (const outcome of [
      "400 invalid_request",
      "401 signature_invalid",
      "404 not_found",
      "405 method_not_allowed",
      "413 body_too_large",
      "415 unsupported_media_type",
      "400 raw",
      "401 raw",
      "413 raw",
      "431 raw",
      "closed",
    ]) {
      expect(count.get(outcome) ?? 0, outcome).toBeGreaterThan(0);
    }

    expect(node.pid).toBe(door);
    expect(await node.enginePid()).toBe(engine);
    expect(node.logged("engine_ended")).toEqual([]);
    expect(node.lines.filter(({ level, text }) => level === "error" || text !== undefined)).toEqual(
      [],
    );
    const after = await answerOf(await client.infer());
    expect(after.results).toEqual(before.results);

    const kept = ({ heapUsed, external }: Record<string, unknown>): number =>
      numberOf(heapUsed) + numberOf(external);
    const growth = kept(end) - kept(warm);
    const rssGrowth = numberOf(end["rss"]) - numberOf(warm["rss"]);
    const open = (end["handles"] as string[]).filter((handle) => handle === "TCPSocketWrap").length;
    console.log(JSON.stringify({ refused, growth, rssGrowth, open, ...Object.fromEntries(count) }));
    expect(growth).toBeLessThan(maxGrowthBytes);
    expect(rssGrowth).toBeLessThan(maxRssGrowthBytes);
    // Idle connections that this client keeps, and no others.
    expect(open).toBeLessThanOrEqual(2 * senders);
  },
);
