// A node for the lab that runs no model: it draws vectors of BLIP-2's shape for whatever it is asked to embed, at once.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { toProblem } from "@blip2-edge/shared/problem";
import { writeEmbedding } from "@blip2-edge/shared/wire/embedding";
import { framedType, readFrame } from "@blip2-edge/shared/wire/frame";
import {
  embedRequestSchema,
  protocolHeader,
  protocolVersion,
  type CatalogModel,
} from "@blip2-edge/shared/wire/protocol";
import { createVerifier, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { createRandom } from "../../gpu-node/nano/scenes/random.ts";

const [queries, dim] = [32, 256];
const drawnModel: CatalogModel = {
  ...{ model: "drawn", model_revision: "0".repeat(16), family: "retrieval", image_size: 224 },
  abilities: ["match", "embed"],
};

export interface DrawnNode {
  readonly url: string;
  readonly keys: readonly { readonly id: string; readonly secret: string }[];
  stop(): void;
}

export async function startDrawnNode(): Promise<DrawnNode> {
  const keys = [{ id: "lab", secret: "a-secret-of-the-lab-that-is-long-enough" }];
  const verifier = createVerifier({
    keys: parseSigningKeys(keys.map(({ id, secret }) => `${id}:${secret}`).join(",")),
  });
  let drawn = 0;
  const vectors = (rows: number): number[] => {
    const random = createRandom(9, (drawn += 1));
    return Array.from({ length: rows }, () => {
      const row = Array.from({ length: dim }, () => random.next() - 0.5);
      const length = Math.hypot(...row);
      return row.map((value) => value / length);
    }).flat();
  };

  async function answer(request: http.IncomingMessage): Promise<unknown> {
    const headers = new Headers();
    for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value));
    const { method = "GET", url: path = "/" } = request;
    const url = `http://${request.headers.host}${path}`;
    const body = await verifier.verify({ method, url, headers }, async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      return new Uint8Array(Buffer.concat(chunks));
    });
    if (path === "/v1/catalog") return { models: [drawnModel] };
    const type = headers.get("content-type") ?? "";
    const json = type.startsWith(framedType)
      ? readFrame(body, type).json
      : new TextDecoder().decode(body);
    const asked = embedRequestSchema.parse(JSON.parse(json));
    const embeddings =
      "texts" in asked
        ? asked.texts.map(() => writeEmbedding([dim], vectors(1)))
        : [writeEmbedding([queries, dim], vectors(queries))];
    const { model, model_revision } = asked;
    return { model, model_revision, embeddings, vision_passes: 0 };
  }

  const server = http.createServer((request, response) => {
    const send = (status: number, type: string, body: unknown): void => {
      response.writeHead(status, { "content-type": type, [protocolHeader]: protocolVersion });
      response.end(JSON.stringify(body));
    };
    answer(request).then(
      (body) => send(200, "application/json", body),
      (error: unknown) => {
        const problem = toProblem(error);
        send(problem.status, "application/problem+json", problem);
      },
    );
  });
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    keys,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
