// Speaks to a node as the edge does: signed requests with or without pixels, and its problems read back.
import { fromProblem, type Problem } from "@blip2-edge/shared/problem";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import {
  type Catalog,
  type InferResponse,
  inferResponseSchema,
} from "@blip2-edge/shared/wire/protocol";
import { createSigner, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { nodeKeys } from "./served-node.ts";

export interface InferOptions {
  /** The picture is one colour: this brightness everywhere. */
  readonly brightness?: number;
  readonly partition?: string;
  readonly texts?: readonly (string | null)[];
  readonly generation?: Readonly<Record<string, number>>;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface NodeClient {
  infer(options?: InferOptions): Promise<Response>;
  /** The JSON of a request, its picture and the frame of both. */
  framed(options?: InferOptions): {
    json: string;
    pixels: Uint8Array;
    body: Uint8Array;
    contentType: string;
  };
  sign(
    method: string,
    path: string,
    body?: Uint8Array,
    contentType?: string,
  ): Promise<Record<string, string>>;
  metric(name: string): Promise<number>;
  /** Jobs that were let in and are not done, wherever they are. */
  jobs(): Promise<number>;
}

/** Of the first model that the node serves. */
export async function nodeClient(url: string): Promise<NodeClient> {
  const signer = createSigner({ keys: parseSigningKeys(nodeKeys) });
  const sign: NodeClient["sign"] = (method, path, body, contentType) =>
    signer.sign({
      method,
      url: `${url}${path}`,
      ...(body === undefined ? {} : { body }),
      ...(contentType === undefined ? {} : { contentType }),
    });
  const get = async (path: string) => fetch(`${url}${path}`, { headers: await sign("GET", path) });
  const catalog = (await (await get("/v1/catalog")).json()) as Catalog;
  const [model] = catalog.models;
  if (model === undefined) throw new Error("the node serves no model");

  const framed: NodeClient["framed"] = (options = {}) => {
    const { brightness = 120, partition = "1", texts = [null], generation = {} } = options;
    const pixels = new Uint8Array(model.image_size ** 2 * 3).fill(brightness);
    const json = JSON.stringify({
      model: model.model,
      model_revision: model.model_revision,
      partition: partition.padStart(32, "0"),
      image: {
        image_id: `img_${brightness.toString(16).padStart(64, "0")}`,
        size: model.image_size,
      },
      texts,
      generation,
      deadline_ms: options.deadlineMs ?? 30_000,
    });
    return { json, pixels, ...writeFrame({ json, pixels }) };
  };
  const client: NodeClient = {
    framed,
    sign,
    jobs: async () => (await client.metric("jobs_running")) + (await client.metric("queue_depth")),
    async infer(options = {}) {
      const { body, contentType } = framed(options);
      const headers = await sign("POST", "/v1/infer", body, contentType);
      return fetch(`${url}/v1/infer`, {
        method: "POST",
        headers,
        body: body as Uint8Array<ArrayBuffer>,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
    },
    async metric(name) {
      const text = await (await get("/metrics")).text();
      const values = [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (.+)$`, "gm"))];
      return values.reduce((sum, [, value]) => sum + Number(value), 0);
    },
  };
  return client;
}

export const answerOf = async (response: Response): Promise<InferResponse> =>
  inferResponseSchema.parse(await response.json());

/** The problem of an answer that is one. */
export async function problemOf(response: Response): Promise<Problem> {
  const body: unknown = await response.json();
  if (fromProblem(body) === undefined) throw new Error(`no problem: ${JSON.stringify(body)}`);
  return body as Problem;
}
