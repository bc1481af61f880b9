// A scripted node: speaks the protocol of shared/src/wire, verifies every signature, counts what it is
// asked, and fails the way it is told to. It runs no model: its answers say what it was given.
import { createHash } from "node:crypto";
import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { AppError, toProblem } from "@blip2-edge/shared/problem";
import { framedType, readFrame } from "@blip2-edge/shared/wire/frame";
import {
  embedRequestSchema,
  inferRequestSchema,
  matchRequestSchema,
  protocolHeader,
  protocolVersion,
  type Catalog,
  type EmbedRequest,
  type EmbedResponse,
  type InferRequest,
  type InferResponse,
  type MatchRequest,
  type MatchResponse,
} from "@blip2-edge/shared/wire/protocol";
import { createVerifier, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { streamAnswer } from "./fake-stream.ts";
import { fakeEmbeddings, fakeInference, fakeMatches } from "./fake-answers.ts";

/** What the next requests do instead of answering. */
export type Fault =
  | { readonly kind: "problem"; readonly error: AppError; readonly afterMs?: number }
  /** Drops the connection before a byte of answer. */
  | { readonly kind: "drop" }
  /** Sends half of an answer, then drops the connection. */
  | { readonly kind: "die_in_answer" }
  | { readonly kind: "wait"; readonly ms: number }
  /** As whatever answers in the node's place would: without the protocol's header. */
  | { readonly kind: "text"; readonly status: number; readonly body: string }
  | { readonly kind: "json"; readonly body: unknown }
  /** Streams as far as the first text; then waits, and ends as it is told: as it should when nothing is said. */
  | {
      readonly kind: "after_first_text";
      readonly wait?: Promise<unknown>;
      readonly end?: "drop" | AppError;
    };

export interface Asked<Request> {
  readonly request: Request;
  readonly withPixels: boolean;
}

export interface FakeNode {
  readonly url: string;
  readonly keys: readonly { readonly id: string; readonly secret: string }[];
  /** Requests to /v1/infer, /v1/match and /v1/embed that were understood. */
  readonly asked: readonly Asked<InferRequest>[];
  readonly askedToMatch: readonly Asked<MatchRequest>[];
  readonly askedToEmbed: readonly Asked<EmbedRequest>[];
  /** What was computed so far: texts generated, scores given (each of each text), embeddings made. */
  inferences(): number;
  /** The digest of the picture last asked about, on which the answers hang. */
  lastPicture(): string;
  catalogReads(): number;
  refusedSignatures(): number;
  /** The `traceparent` of every request that was understood. */
  readonly traceparents: readonly string[];
  /** Requests whose caller went away before the answer. */
  abandoned(): number;
  catalog: Catalog;
  /** What it sees in every picture, instead of what was asked; default: nothing. */
  says: string | undefined;
  /** The next requests fail so, one each. */
  failNext(...faults: Fault[]): void;
  /** Forgets every picture, as a restarted node does. */
  forgetPixels(): void;
  /** Stops listening and drops every connection. */
  down(): Promise<void>;
  /** Listens again on the same port. */
  up(): Promise<void>;
  stop(): Promise<void>;
}

export const fakeModel = {
  model: "fake",
  model_revision: "0123456789abcdef",
  family: "opt",
  image_size: 32,
  abilities: ["caption", "vqa"],
  question_template: "Question: {} Answer:",
} as const satisfies Catalog["models"][number];

/** Of another size than `fakeModel`: pixels for one are not those for the other. */
export const fakeRetrieval = {
  model: "fake-itm",
  model_revision: "fedcba9876543210",
  family: "retrieval",
  image_size: 48,
  abilities: ["match", "embed"],
} as const satisfies Catalog["models"][number];

/** What it says of its stages, whatever they took. */
const fakeTimings = "queue;dur=1.5, vision;dur=2, total;dur=4.5";

/** Each key id has a secret of its own. */
export async function startFakeNode(keyId = "test-1"): Promise<FakeNode> {
  const keys = [{ id: keyId, secret: `a-secret-of-the-tests-that-is-long-enough-${keyId}` }];
  const verifier = createVerifier({
    keys: parseSigningKeys(keys.map(({ id, secret }) => `${id}:${secret}`).join(",")),
  });
  const asked: Asked<InferRequest>[] = [];
  const askedToMatch: Asked<MatchRequest>[] = [];
  const askedToEmbed: Asked<EmbedRequest>[] = [];
  const faults: Fault[] = [];
  const traceparents: string[] = [];
  let lastPicture = "";
  const pixelsHeld = new Map<string, string>();
  const sockets = new Set<Socket>();
  const counts = { inferences: 0, catalogReads: 0, refused: 0, abandoned: 0 };

  const server = http.createServer((request, response) => {
    void answer(request, response).catch((error: unknown) => {
      if (error instanceof AppError && error.code === "signature_invalid") counts.refused += 1;
      const problem = toProblem(error);
      send(response, problem.status, problem, "application/problem+json");
    });
  });
  // A connection that ends while the next request is on its way is a fault of its own; here there is none.
  server.keepAliveTimeout = 120_000;
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });

  function send(
    response: http.ServerResponse,
    status: number,
    body: unknown,
    type = "application/json",
  ): void {
    response.writeHead(status, {
      ...{ "content-type": type, [protocolHeader]: protocolVersion },
      ...(status === 200 ? { "server-timing": fakeTimings } : {}),
    });
    response.end(JSON.stringify(body));
  }

  async function answer(
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> {
    response.on("close", () => {
      if (!response.writableEnded) counts.abandoned += 1;
    });
    const headers = new Headers();
    for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value));
    const { method = "GET", url: path = "/" } = request;
    const body = await verifier.verify(
      { method, url: `http://${request.headers.host}${path}`, headers },
      async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        return new Uint8Array(Buffer.concat(chunks));
      },
    );
    traceparents.push(headers.get("traceparent") ?? "");
    if (method === "GET" && path === "/v1/catalog") {
      counts.catalogReads += 1;
      return send(response, 200, node.catalog);
    }
    const work = method === "POST" ? works[path] : undefined;
    if (work === undefined) throw new AppError("not_found", "");
    const contentType = headers.get("content-type") ?? "";
    const framed = contentType.startsWith(framedType);
    const frame = framed ? readFrame(body, contentType) : undefined;
    const json: unknown = JSON.parse(frame?.json ?? new TextDecoder().decode(body));
    const perform = work(json, frame !== undefined);
    const streams = (json as { readonly stream?: unknown }).stream === true;
    return failOr(response, streams, () => perform(frame?.pixels));
  }

  /** Understands a request, notes it, and gives what answers it. */
  type Work = (
    json: unknown,
    withPixels: boolean,
  ) => (pixels: Uint8Array | undefined) => InferResponse | MatchResponse | EmbedResponse;
  const works: Readonly<Record<string, Work>> = {
    "/v1/infer"(json, withPixels) {
      const request = inferRequestSchema.parse(json);
      asked.push({ request, withPixels });
      return (pixels) => {
        const digest = pictureOf(request, pixels);
        counts.inferences += request.texts.length;
        return {
          ...aboutPicture(request, withPixels),
          results: fakeInference(request, digest).map((result) => ({
            ...result,
            text: node.says ?? result.text,
          })),
        };
      };
    },
    "/v1/match"(json, withPixels) {
      const request = matchRequestSchema.parse(json);
      askedToMatch.push({ request, withPixels });
      return (pixels) => {
        const digest = pictureOf(request, pixels);
        counts.inferences += request.texts.length * request.scores.length;
        return { ...aboutPicture(request, withPixels), matches: fakeMatches(request, digest) };
      };
    },
    "/v1/embed"(json, withPixels) {
      const request = embedRequestSchema.parse(json);
      askedToEmbed.push({ request, withPixels });
      return (pixels) => {
        modelOf(request);
        const digest = "image" in request ? pictureOf(request, pixels) : "";
        counts.inferences += "texts" in request ? request.texts.length : 1;
        const { model, model_revision } = request;
        const embeddings = fakeEmbeddings(request, digest);
        return { model, model_revision, embeddings, vision_passes: withPixels ? 1 : 0 };
      };
    },
  };

  interface AboutPicture {
    readonly model: string;
    readonly model_revision: string;
    readonly partition: string;
    readonly image: { readonly image_id: string; readonly size: number };
  }
  const aboutPicture = ({ model, model_revision, image }: AboutPicture, withPixels: boolean) => ({
    ...{ model, model_revision, image_id: image.image_id },
    vision_passes: withPixels ? 1 : 0,
  });

  function modelOf(request: Pick<AboutPicture, "model" | "model_revision">) {
    const model = node.catalog.models.find((entry) => entry.model === request.model);
    if (model === undefined) throw new AppError("model_not_found", "");
    if (model.model_revision !== request.model_revision)
      throw new AppError("revision_mismatch", "");
    return model;
  }

  /** The digest of the picture's pixels, sent now or held. */
  function pictureOf(request: AboutPicture, pixels: Uint8Array | undefined): string {
    const { image_id: imageId, size } = request.image;
    if (size !== modelOf(request).image_size)
      throw new AppError("invalid_request", "the size is not the model's");
    const key = `${request.partition}/${imageId}/${size}`;
    if (pixels !== undefined) {
      if (pixels.length !== size * size * 3) throw new AppError("invalid_request", "pixels");
      pixelsHeld.set(key, createHash("sha256").update(pixels).digest("hex").slice(0, 8));
    }
    const digest = pixelsHeld.get(key);
    if (digest === undefined) throw new AppError("pixels_required", "");
    lastPicture = digest;
    return digest;
  }

  async function failOr(
    response: http.ServerResponse,
    streams: boolean,
    perform: () => InferResponse | MatchResponse | EmbedResponse,
  ): Promise<void> {
    const fault = faults.shift();
    if (fault?.kind === "drop") return void response.socket?.destroy();
    if (fault?.kind === "problem") {
      await new Promise((resolve) => setTimeout(resolve, fault.afterMs ?? 0));
      throw fault.error;
    }
    if (fault?.kind === "text") {
      response.writeHead(fault.status, { "content-type": "text/html" });
      return void response.end(fault.body);
    }
    if (fault?.kind === "json") return send(response, 200, fault.body);
    if (fault?.kind === "wait") await new Promise((resolve) => setTimeout(resolve, fault.ms));
    const result = perform();
    if (streams && "results" in result) {
      return streamAnswer(response, result, fault?.kind === "after_first_text" ? fault : {});
    }
    if (fault?.kind === "die_in_answer") {
      const text = JSON.stringify(result);
      response.writeHead(200, {
        "content-type": "application/json",
        [protocolHeader]: protocolVersion,
        "content-length": String(Buffer.byteLength(text)),
      });
      response.write(text.slice(0, text.length / 2));
      setTimeout(() => response.socket?.destroy(), 20);
      return;
    }
    send(response, 200, result);
  }

  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => {
        server.removeListener("error", reject);
        resolve();
      });
    });
  const down = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };

  await listen(0);
  const { port } = server.address() as AddressInfo;
  const node: FakeNode = {
    url: `http://127.0.0.1:${port}`,
    keys,
    asked,
    askedToMatch,
    askedToEmbed,
    inferences: () => counts.inferences,
    lastPicture: () => lastPicture,
    catalogReads: () => counts.catalogReads,
    refusedSignatures: () => counts.refused,
    traceparents,
    abandoned: () => counts.abandoned,
    catalog: { models: [fakeModel, fakeRetrieval] },
    says: undefined,
    failNext: (...next) => void faults.push(...next),
    forgetPixels: () => pixelsHeld.clear(),
    down,
    up: () => listen(port),
    stop: down,
  };
  return node;
}
