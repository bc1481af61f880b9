// What is written to a bare socket: HTTP that is none, HTTP that lies about itself, and HTTP that is right but
// unsigned. Each says how many refusals it may cost at most; a closed connection is a refusal too.
import type { Random } from "./random.ts";

export interface RawAttack {
  readonly bytes: Uint8Array;
  /** Requests in it. */
  readonly requests: number;
  /** How the socket is left once everything is written: open for an answer, half closed, or reset. */
  readonly then: "wait" | "end" | "reset";
}

const line = "\r\n";
const head = (...lines: string[]): string => lines.join(line) + line + line;
const post = (path: string, ...headers: string[]): string =>
  head(`POST ${path} HTTP/1.1`, "host: node", ...headers);

const methods = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "TRACE",
  "PROPFIND",
  "SEARCH",
];
const paths = [
  "/",
  "/v1/catalog",
  "/v1/infer",
  "/metrics",
  "/v1/../metrics",
  "/%00",
  "/%ff%fe",
  "//",
  "/\\..\\x",
  "/?a=b&c",
  "/v1/infer/",
  `/${"a/".repeat(2000)}`,
];
const hosts = [
  "",
  "a b",
  "[::1",
  "evil:99999",
  "user@node",
  "node:x",
  "..",
  "xn--",
  "%00",
  "node/path",
  "a".repeat(300),
];

/** Text of the attack, or its bytes. */
const attacks: readonly ((
  random: Random,
) => Omit<RawAttack, "bytes"> & { readonly text: string | Uint8Array })[] = [
  // No HTTP at all.
  (random) => ({ text: random.bytes(1 + random.int(400)), requests: 1, then: "end" }),
  () => ({ text: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", requests: 1, then: "end" }),
  () => ({ text: Buffer.from("16030100c8010000c40303", "hex"), requests: 1, then: "end" }),
  (random) => ({
    text: `${random.text(20)} / HTTP/1.1\r\nhost: x\r\n\r\n`,
    requests: 1,
    then: "end",
  }),
  () => ({ text: "GET /\r\n\r\n", requests: 1, then: "end" }),
  () => ({ text: "GET /v1/catalog HTTP/9.9\r\nhost: x\r\n\r\n", requests: 1, then: "end" }),
  (random) => ({ text: "\r\n".repeat(1 + random.int(50)), requests: 1, then: "end" }),
  // Heads that are too much.
  (random) => ({
    text: post("/v1/infer", `x: ${"y".repeat(16_500 + random.int(9000))}`),
    requests: 1,
    then: "wait",
  }),
  (random) => ({
    text: post(
      "/v1/infer",
      ...Array.from({ length: 2500 + random.int(500) }, (_, index) => `x${index}: 1`),
    ),
    requests: 1,
    then: "wait",
  }),
  () => ({
    text: `GET /${"a".repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    requests: 1,
    then: "wait",
  }),
  // Heads that contradict themselves.
  () => ({
    text: post("/v1/infer", "content-length: 3", "content-length: 4") + "abcd",
    requests: 1,
    then: "end",
  }),
  () => ({
    text: post("/v1/infer", "content-length: 3", "transfer-encoding: chunked") + "0\r\n\r\n",
    requests: 1,
    then: "end",
  }),
  (random) => ({
    text:
      post(
        "/v1/infer",
        `content-length: ${random.pick(["-1", "1e3", "0x10", "99999999999999999999", "1,1", " "])}`,
      ) + "x",
    requests: 1,
    then: "end",
  }),
  (random) => ({
    text:
      post(
        "/v1/infer",
        `transfer-encoding: ${random.pick(["gzip", "chunked, chunked", "identity", "xchunked"])}`,
      ) + "0\r\n\r\n",
    requests: 1,
    then: "end",
  }),
  () => ({
    text: "POST /v1/infer HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n",
    requests: 1,
    then: "end",
  }),
  (random) => ({
    text: post("/v1/infer", `${random.pick(["a b", "a\u0000b", "(a)", ""])}: 1`),
    requests: 1,
    then: "end",
  }),
  (random) => ({
    text: head("GET /v1/catalog HTTP/1.1", `host: ${random.pick(hosts)}`),
    requests: 1,
    then: "end",
  }),
  () => ({ text: head("GET /v1/catalog HTTP/1.1"), requests: 1, then: "end" }),
  // Bodies that do not hold what their heads say.
  (random) => ({
    text:
      post("/v1/infer", "transfer-encoding: chunked") +
      random.pick([
        "zz\r\n",
        "5\r\nab",
        "fffffffff\r\n",
        "-1\r\n",
        "5;x=\r\nabcde\r\n0\r\n\r\n",
        `5;${"x".repeat(20_000)}\r\n`,
      ]),
    requests: 1,
    then: "end",
  }),
  (random) => ({
    text: post("/v1/infer", "content-length: 5000") + random.text(random.int(4000)),
    requests: 1,
    then: random.pick(["end", "reset"]),
  }),
  () => ({ text: post("/v1/infer", "content-length: 50000000"), requests: 1, then: "wait" }),
  // HTTP as it should be, of somebody whom nobody knows.
  (random) => ({
    text: head(
      `${random.pick(methods)} ${random.pick(paths)} HTTP/1.1`,
      "host: node",
      "connection: close",
    ),
    requests: 1,
    then: "wait",
  }),
  (random) => ({ text: head(`GET ${random.pick(paths)} HTTP/1.0`), requests: 1, then: "wait" }),
  () => ({
    text: head("CONNECT example.org:443 HTTP/1.1", "host: example.org"),
    requests: 1,
    then: "wait",
  }),
  () => ({
    text: head("OPTIONS * HTTP/1.1", "host: node", "connection: close"),
    requests: 1,
    then: "wait",
  }),
  (random) => ({
    text: head(
      `GET ${random.pick(["http://node/v1/catalog", "http://[::1/x", "https://evil/", "http://"])} HTTP/1.1`,
      "host: node",
      "connection: close",
    ),
    requests: 1,
    then: "wait",
  }),
  () => ({
    text: head(
      "GET /v1/catalog HTTP/1.1",
      "host: node",
      "upgrade: websocket",
      "connection: upgrade",
      "sec-websocket-key: x",
    ),
    requests: 1,
    then: "end",
  }),
  () => ({
    text: post("/v1/infer", "expect: nonsense", "content-length: 1", "connection: close") + "x",
    requests: 1,
    then: "wait",
  }),
  () => ({
    text: post("/v1/infer", "expect: 100-continue", "content-length: 1", "connection: close") + "x",
    requests: 1,
    then: "wait",
  }),
  (random) => ({
    text:
      post(
        "/v1/infer",
        "content-length: 2",
        `signature: ${random.text(900)}`,
        `signature-input: blip2=${random.text(900)}`,
        `content-digest: ${random.text(60)}`,
        "connection: close",
      ) + "{}",
    requests: 1,
    then: "wait",
  }),
  (random) => ({
    text: post(
      "/v1/infer",
      `x: ${Buffer.from(random.bytes(60).map((byte) => byte | 0x80)).toString("latin1")}`,
      "content-length: 0",
      "connection: close",
    ),
    requests: 1,
    then: "wait",
  }),
  // Several on one connection, good HTTP and bad.
  (random) => ({
    text: Array.from({ length: 8 }, () =>
      head(`GET ${random.pick(["/v1/catalog", "/metrics", "/v2"])} HTTP/1.1`, "host: node"),
    ).join(""),
    requests: 8,
    then: "end",
  }),
  (random) => ({
    text: `${head("GET /v1/catalog HTTP/1.1", "host: node")}${post("/v1/infer", "content-length: 4")}${random.text(4)}${random.text(30)}`,
    requests: 3,
    then: "end",
  }),
  // Who leaves.
  () => ({ text: "POST /v1/infer HTTP/1.1\r\nhost: no", requests: 1, then: "reset" }),
  () => ({ text: "", requests: 1, then: "reset" }),
  () => ({ text: head("GET /v1/catalog HTTP/1.1", "host: node"), requests: 1, then: "reset" }),
];

export function rawAttack(random: Random): RawAttack {
  const { text, ...attack } = random.pick(attacks)(random);
  return { ...attack, bytes: typeof text === "string" ? Buffer.from(text, "latin1") : text };
}
