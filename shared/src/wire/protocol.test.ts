// Replays the messages of protocol version 1. When one of these fails, old edges and old nodes break:
// the code is wrong, not the golden.
import { describe, expect, test } from "vitest";
import { AppError, fromProblem, toProblem } from "../problem.ts";
import { readEmbedding, writeEmbedding } from "./embedding.ts";
import { readFrame, writeFrame } from "./frame.ts";
import golden from "./golden/protocol-1.json" with { type: "json" };
import retrieval from "./golden/retrieval-1.json" with { type: "json" };
import {
  catalogSchema,
  embedRequestSchema,
  embedResponseSchema,
  inferRequestSchema,
  inferResponseSchema,
  matchRequestSchema,
  matchResponseSchema,
  protocolHeader,
  protocolVersion,
} from "./protocol.ts";
import { createSigner, createVerifier } from "./signature.ts";

const { framed, signed } = golden;
const body = new Uint8Array(Buffer.from(framed.body_base64, "base64"));
const pixels = Uint8Array.from({ length: 14 * 14 * 3 }, (_, index) => (index * 7) % 256);
const key = { id: signed.key.id, secret: new TextEncoder().encode(signed.key.secret) };
const now = () => signed.created * 1000;

describe("version 1 still reads", () => {
  test("the request, the response and the catalogue, losing nothing", () => {
    expect(inferRequestSchema.parse(golden.infer_request)).toEqual(golden.infer_request);
    expect(inferResponseSchema.parse(golden.infer_response)).toEqual(golden.infer_response);
    expect(catalogSchema.parse(golden.catalog)).toEqual(golden.catalog);
  });

  test("a catalogue of families and abilities that are younger than the reader", () => {
    const models = golden.catalog.models.map((model) => ({
      ...model,
      family: "t6",
      abilities: [...model.abilities, "sing"],
    }));
    expect(catalogSchema.parse({ models })).toEqual({ models });
  });

  test("a catalogue with what the scores of a model mean; one that it does not understand is none", () => {
    const [model] = retrieval.catalog.models;
    const calibration = { pictures: 9, itc: { slope: 10, intercept: -5, min_score: 0.5 } };
    const models = [{ ...model, calibration }];
    expect(catalogSchema.parse({ models })).toEqual({ models });
    const younger = { models: [{ ...model, calibration: { itc: { splines: [1, 2] } } }] };
    expect(catalogSchema.parse(younger)).toEqual(retrieval.catalog);
    expect(JSON.stringify(catalogSchema.parse(retrieval.catalog))).not.toContain("calibration");
  });

  test("a request's unknown field is refused, an answer's is passed over", () => {
    const surprised = (message: object) => ({ ...message, surprise: 1 });
    expect(inferRequestSchema.safeParse(surprised(golden.infer_request)).success).toBe(false);
    for (const [schema, message] of [
      [inferResponseSchema, golden.infer_response],
      [catalogSchema, golden.catalog],
    ] as const) {
      expect(schema.parse(surprised(message))).toEqual(message);
    }
  });

  test("a problem", () => {
    const error = fromProblem(golden.problem);
    expect(error).toBeInstanceOf(AppError);
    expect(toProblem(error)).toEqual(golden.problem);
  });

  test("the frame with pixels, and writes the same bytes", () => {
    const read = readFrame(body, framed.content_type);
    expect(read.json).toBe(framed.json);
    expect(inferRequestSchema.parse(JSON.parse(read.json))).toEqual(golden.infer_request);
    expect(read.pixels).toEqual(pixels);
    const written = writeFrame({ json: framed.json, pixels }, framed.boundary);
    expect(written.contentType).toBe(framed.content_type);
    expect(Buffer.from(written.body).toString("base64")).toBe(framed.body_base64);
  });

  test("the signature, and writes the same headers", async () => {
    const verifier = createVerifier({ keys: [key], now });
    const request = { ...signed, headers: new Headers(signed.headers) };
    expect(await verifier.verify(request, () => body)).toBe(body);
    const signer = createSigner({ keys: [key], now, nonce: () => signed.nonce });
    const { method, url } = signed;
    expect(await signer.sign({ method, url, contentType: framed.content_type, body })).toEqual(
      signed.headers,
    );
  });

  test("under its header and number", () => {
    expect([protocolHeader, protocolVersion]).toEqual(["blip2-protocol", "1"]);
  });
});

describe("version 1 still reads matching and embedding", () => {
  const requests = [
    ["match", matchRequestSchema, retrieval.match_request],
    ["embed an image", embedRequestSchema, retrieval.embed_image_request],
    ["embed a text", embedRequestSchema, retrieval.embed_text_request],
  ] as const;
  const answers = [
    ["match", matchResponseSchema, retrieval.match_response],
    ["match by one score", matchResponseSchema, retrieval.match_response_itc],
    ["embed an image", embedResponseSchema, retrieval.embed_image_response],
    ["embed a text", embedResponseSchema, retrieval.embed_text_response],
    ["the catalogue", catalogSchema, retrieval.catalog],
  ] as const;

  test.each(requests)(
    "the request to %s: losing nothing, taking nothing more",
    (_, schema, message) => {
      expect(schema.parse(message)).toEqual(message);
      expect(schema.safeParse({ ...message, surprise: 1 }).success).toBe(false);
    },
  );

  test.each(answers)("the answer, %s: losing nothing, passing over more", (_, schema, message) => {
    expect(schema.parse(message)).toEqual(message);
    expect(schema.parse({ ...message, surprise: 1 })).toEqual(message);
  });

  test("vectors, to the last bit, and writes the same text", () => {
    const [embedding] = retrieval.embed_image_response.embeddings;
    if (embedding === undefined) throw new Error("the golden has no embedding");
    const values = retrieval.embed_image_values;
    expect([...(readEmbedding(embedding) ?? [])]).toEqual(values);
    expect(writeEmbedding(embedding.dims, values)).toEqual(embedding);
  });

  test.each([
    ["match", retrieval.framed_match, matchRequestSchema, retrieval.match_request],
    ["embed", retrieval.framed_embed, embedRequestSchema, retrieval.embed_image_request],
  ] as const)(
    "the frame of %s with pixels, and writes the same bytes",
    (_, frame, schema, request) => {
      const bytes = new Uint8Array(Buffer.from(frame.body_base64, "base64"));
      const read = readFrame(bytes, frame.content_type);
      expect(schema.parse(JSON.parse(read.json))).toEqual(request);
      expect(read.pixels).toEqual(pixels);
      const written = writeFrame({ json: frame.json, pixels }, frame.boundary);
      expect(Buffer.from(written.body).toString("base64")).toBe(frame.body_base64);
    },
  );
});
