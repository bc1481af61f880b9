// A scripted node: speaks the protocol of shared/src/wire, verifies every signature, counts what it is
// asked, and fails the way it is told to. It runs no model: its captions say what it was given.
import { createHash } from "node:crypto";
import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { AppError, toProblem } from "@blip2-edge/shared/problem";
import { framedType, readFrame } from "@blip2-edge/shared/wire/frame";
import {
  inferRequestSchema,
  protocolHeader,
  protocolVersion,
  type Catalog,
  type InferRequest,
  type InferResponse,
} from "@blip2-edge/shared/wire/protocol";
import { createVerifier, parseSigningKeys } from "@blip2-edge/shared/wire/signature";

/** What the next inferences do instead of answering. */
export type Fault =
  | { readonly kind: "problem"; readonly error: AppError }
  /** Drops the connection before a byte of answer. */
  | { readonly kind: "drop" }
  /** Sends half of an answer, then drops the connection. */
  | { readonly kind: "die_in_answer" }
  | { readonly kind: "wait"; readonly ms: number }
  /** As whatever answers in the node's place would: without the protocol's header. */
  | { readonly kind: "text"; readonly status: number; readonly body: string }
  | { readonly kind: "json"; readonly body: unknown };

export interface FakeNode {
  readonly url: string;
  readonly keys: readonly { readonly id: string; readonly secret: string }[];
  /** Requests to /v1/infer that were understood. */
  readonly asked: readonly { readonly request: InferRequest; readonly withPixels: boolean }[];
  /** Texts generated so far. */
  inferences(): number;
  catalogReads(): number;
  refusedSignatures(): number;
  /** Requests whose caller went away before the answer. */
  abandoned(): number;
  catalog: Catalog;
  /** The next inferences fail so, one each. */
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

export async function startFakeNode(): Promise<FakeNode> {
  const keys = [{ id: "test-1", secret: "a-secret-of-the-tests-that-is-long-enough" }];
  const verifier = createVerifier({
    keys: parseSigningKeys(keys.map(({ id, secret }) => `${id}:${secret}`).join(",")),
  });
  const asked: { request: InferRequest; withPixels: boolean }[] = [];
  const faults: Fault[] = [];
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
    response.writeHead(status, { "content-type": type, [protocolHeader]: protocolVersion });
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
    if (method === "GET" && path === "/v1/catalog") {
      counts.catalogReads += 1;
      return send(response, 200, node.catalog);
    }
    if (method === "POST" && path === "/v1/infer") {
      return infer(body, headers.get("content-type") ?? "", response);
    }
    throw new AppError("not_found", "");
  }

  async function infer(
    body: Uint8Array,
    contentType: string,
    response: http.ServerResponse,
  ): Promise<void> {
    const framed = contentType.startsWith(framedType);
    const frame = framed ? readFrame(body, contentType) : undefined;
    const json: unknown = JSON.parse(frame?.json ?? new TextDecoder().decode(body));
    const request = inferRequestSchema.parse(json);
    asked.push({ request, withPixels: frame !== undefined });

    const fault = faults.shift();
    if (fault?.kind === "drop") return void response.socket?.destroy();
    if (fault?.kind === "problem") throw fault.error;
    if (fault?.kind === "text") {
      response.writeHead(fault.status, { "content-type": "text/html" });
      return void response.end(fault.body);
    }
    if (fault?.kind === "json") return send(response, 200, fault.body);
    if (fault?.kind === "wait") await new Promise((resolve) => setTimeout(resolve, fault.ms));

    const model = node.catalog.models.find((entry) => entry.model === request.model);
    if (model === undefined) throw new AppError("model_not_found", "");
    if (model.model_revision !== request.model_revision)
      throw new AppError("revision_mismatch", "");
    const { image_id: imageId, size } = request.image;
    if (size !== model.image_size)
      throw new AppError("invalid_request", "the size is not the model's");
    const key = `${request.partition}/${imageId}/${size}`;
    if (frame !== undefined) {
      if (frame.pixels.length !== size * size * 3) throw new AppError("invalid_request", "pixels");
      pixelsHeld.set(key, createHash("sha256").update(frame.pixels).digest("hex").slice(0, 8));
    }
    const digest = pixelsHeld.get(key);
    if (digest === undefined) throw new AppError("pixels_required", "");

    counts.inferences += request.texts.length;
    const generation = resolveGeneration(request.generation);
    const result: InferResponse = {
      model: request.model,
      model_revision: request.model_revision,
      image_id: imageId,
      results: request.texts.map((text) => {
        const said = (rank: number) => ({
          text: `${text === null ? `picture ${digest}` : `${text} ${digest}`}${rank === 0 ? "" : ` ${rank}`}`,
          token_ids: [1, 2, 3].slice(0, generation.max_new_tokens),
          finish_reason: "stop" as const,
          log_prob: -0.25 * (rank + 1),
        });
        const count = generation.num_return_sequences;
        return {
          ...said(0),
          usage: { image_tokens: 32, prompt_tokens: 1, completion_tokens: 3 * count },
          ...(count === 1
            ? {}
            : { sequences: Array.from({ length: count }, (_, rank) => said(rank)) }),
          ...(generation.min_length > 0 ? { notes: ["the node's note"] } : {}),
        };
      }),
      vision_passes: frame === undefined ? 0 : 1,
    };
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
    inferences: () => counts.inferences,
    catalogReads: () => counts.catalogReads,
    refusedSignatures: () => counts.refused,
    abandoned: () => counts.abandoned,
    catalog: { models: [fakeModel] },
    failNext: (...next) => void faults.push(...next),
    forgetPixels: () => pixelsHeld.clear(),
    down,
    up: () => listen(port),
    stop: down,
  };
  return node;
}
