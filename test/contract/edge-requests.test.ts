// What the Worker answers to requests, good and bad, before a node comes into it.
import http from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { captionResponseSchema } from "@blip2-edge/shared/contracts/caption";
import { modelListSchema } from "@blip2-edge/shared/contracts/models";
import { vqaResponseSchema } from "@blip2-edge/shared/contracts/vqa";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import * as pictures from "../support/pictures.ts";

let edge: Edge;
let picture: Buffer;
let base64: string;
beforeAll(async () => {
  edge = await startEdge({ vars: { BODY_TIMEOUT_MS: "600", KEY_TTL_MS: "0" } });
  picture = await pictures.jpeg(1);
  base64 = picture.toString("base64");
});
afterAll(() => edge?.stop());

/** Sends bytes at its own pace; resolves with the answer, which may come before the body is out. */
function sendRaw(
  headers: Record<string, string>,
  send: (request: http.ClientRequest) => Promise<void>,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const request = http.request(`${edge.url}/v1/caption`, {
      method: "POST",
      headers: { authorization: `Bearer ${edge.ada}`, ...headers },
    });
    let answered = false;
    request.on("response", (response) => {
      answered = true;
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const answer = new Headers();
        for (const [name, value] of Object.entries(response.headers)) {
          answer.set(name, String(value));
        }
        resolve(
          new Response(Buffer.concat(chunks), {
            status: response.statusCode ?? 0,
            headers: answer,
          }),
        );
        request.destroy();
      });
    });
    request.on("error", (error) => {
      if (!answered) reject(error);
    });
    void send(request);
  });
}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("200", () => {
  test("an upload, as base64, as a data URL and as JSON parts is the same picture", async () => {
    const bodies = [
      await edge.upload("/v1/caption", picture),
      await edge.json("/v1/caption", { image: { base64 } }),
      await edge.json("/v1/caption", { image: { base64: `data:image/jpeg;base64,${base64}` } }),
      await edge.upload("/v1/caption", picture, {}),
    ];
    const answers = await Promise.all(
      bodies.map(async (response) => {
        expect(response.status).toBe(200);
        expect(response.headers.get("x-request-id")).toMatch(/^req_/);
        expect(response.headers.get("cache-control")).toBe("no-store");
        return captionResponseSchema.parse(await response.json());
      }),
    );
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    const { image_id: imageId } = answers[0] ?? {};
    const byId = await edge.json("/v1/caption", { image: { image_id: imageId } });
    expect(await byId.json()).toEqual(answers[0]);
  });

  test("the prompt and the generation fields reach the node with defaults filled in", async () => {
    await edge.upload("/v1/caption", picture, { prompt: "a photo of", max_new_tokens: 7 });
    expect(edge.node.asked.at(-1)?.request).toMatchObject({
      texts: ["a photo of"],
      generation: {
        max_new_tokens: 7,
        min_new_tokens: 0,
        repetition_penalty: 1,
        no_repeat_ngram_size: 0,
      },
    });
  });

  test("one question, several questions, a template", async () => {
    const one = await edge.upload("/v1/vqa", picture, { question: "what is $& it?" });
    expect(vqaResponseSchema.parse(await one.json())).toMatchObject({
      question: "what is $& it?",
      answer: expect.stringContaining("Question: what is $& it? Answer:"),
    });
    const questions = ["red?", "blue?"];
    const many = await edge.upload("/v1/vqa", picture, { questions, template: "Q {} A" });
    const body = vqaResponseSchema.parse(await many.json());
    if (!("answers" in body)) throw new Error("several questions have several answers");
    expect(body.answers.map(({ question }) => question)).toEqual(questions);
    expect(body.answers[1]?.answer).toContain("Q blue? A");
  });

  test("the models, in OpenAI's shape", async () => {
    const list = modelListSchema.parse(await (await edge.call("/v1/models")).json());
    expect(list.data).toMatchObject([
      { id: "fake", abilities: ["caption", "vqa"] },
      { id: "fake-itm", abilities: ["match", "embed"] },
    ]);
  });

  test("health needs no key", async () => {
    const response = await edge.call("/healthz", { key: null });
    expect(await response.json()).toEqual({ status: "ok" });
  });

  test.each([
    ["16-bit PNG", pictures.png16],
    ["palette PNG", pictures.pngPalette],
  ])("%s", async (_, make) => {
    expect((await edge.upload("/v1/caption", await make())).status).toBe(200);
  });
});

describe("401", () => {
  const refusal = async (response: Response) => {
    expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
    const { detail, ...rest } = await expectProblem(response, "unauthorized", "models");
    return JSON.stringify({ detail, ...rest });
  };

  test("every wrong key gets the same words; the log knows which", async () => {
    const foreign = await createApiKey();
    const expired = await createApiKey();
    const revoked = await createApiKey();
    await edge.worker.putKey({ key: expired.key, tenant: "ada", name: "old", expiresAt: 1 });
    await edge.worker.putKey({ key: revoked.key, tenant: "ada", name: "lost" });
    await edge.worker.db
      .prepare("UPDATE api_keys SET revoked_at = 1 WHERE id = ?")
      .bind(revoked.id)
      .run();
    const lastDigit = edge.ada.endsWith("0") ? "1" : "0";
    const cases: [string | null, RegExp][] = [
      [null, /no Authorization/],
      [foreign.key, /unknown id/],
      [expired.key, /expired/],
      [revoked.key, /revoked/],
      [edge.ada.slice(0, -1) + lastDigit, /unknown id|checksum/],
      ["x".repeat(300), /too long/],
    ];
    const words = new Set<string>();
    for (const [key, reason] of cases) {
      words.add(await refusal(await edge.call("/v1/models", { key })));
      expect(edge.lastEvent()["internal"]).toMatch(reason);
    }
    const basic = await edge.call("/v1/models", {
      key: null,
      headers: { authorization: "Basic YTpi" },
    });
    words.add(await refusal(basic));
    expect(words.size).toBe(1);
  });

  test("no key appears in the log", async () => {
    await edge.call(`/v1/caption?url=http://u:${edge.ada}@example.com/${edge.ada}`);
    await edge.call(`/v1/${edge.ada}`);
    const secret = edge.ada.slice(-20);
    expect(edge.lines.filter((line) => line.includes(secret))).toEqual([]);
  });
});

describe("404 and 405", () => {
  test("an unknown path, a method that is not served", async () => {
    await expectProblem(await edge.call("/v1/nothing"), "not_found");
    const response = await edge.call("/v1/vqa");
    expect(response.headers.get("allow")).toBe("POST");
    await expectProblem(response, "method_not_allowed");
  });

  test("a model that there is not", async () => {
    const response = await edge.upload("/v1/caption", picture, { model: "other" });
    await expectProblem(response, "model_not_found", "caption");
  });

  test("an image_id of nobody's, and of another tenant's private picture", async () => {
    const nobody = { image: { image_id: `img_${"0".repeat(64)}` } };
    await expectProblem(await edge.json("/v1/caption", nobody), "image_not_found", "caption");
    const sent = await edge.upload("/v1/caption", await pictures.jpeg(77));
    const { image_id } = (await sent.json()) as { image_id: string };
    const theirs = await edge.json("/v1/caption", { image: { image_id } }, edge.bob);
    await expectProblem(theirs, "image_not_found", "caption");
  });
});

describe("400", () => {
  const url = "https://example.com/a.jpg";
  test.each([
    ["no image", {}, "image_required"],
    ["null", { image: null }, "image_required"],
    ["an empty object", { image: {} }, "image_required"],
    ["empty base64", { image: { base64: "" } }, "image_required"],
    ["two forms", { image: { url, base64: "AAAA" } }, "image_ambiguous"],
    ["a list", { image: [{ url }] }, "image_ambiguous"],
    ["a text", { image: url }, "invalid_request"],
    ["an unknown field of the image", { image: { url, detail: "high" } }, "invalid_request"],
    ["not base64", { image: { base64: "§§§§" } }, "invalid_request"],
    [
      "a data URL that is not base64",
      { image: { base64: "data:image/png,abc" } },
      "invalid_request",
    ],
    ["an id of another form", { image: { image_id: "img_1" } }, "invalid_request"],
    ["an unknown field", { image: { base64: "AAAA" }, confidence: 1 }, "invalid_request"],
    [
      "a combination that is refused",
      { image: { base64: "AAAA" }, num_beams: 2, num_return_sequences: 3 },
      "invalid_request",
    ],
    ["too many tokens", { image: { base64: "AAAA" }, max_new_tokens: 9999 }, "invalid_request"],
    ["not JSON", "{", "invalid_request"],
    ["not an object", "[]", "invalid_request"],
    ["nothing", "", "invalid_request"],
  ] as const)("caption: %s", async (_, body, code) => {
    await expectProblem(await edge.json("/v1/caption", body), code, "caption");
  });

  test("the unknown field is named", async () => {
    const body = { image: { base64 }, temprature: 1 };
    const problem = await expectProblem(await edge.json("/v1/caption", body), "invalid_request");
    expect(problem.errors?.[0]?.field).toBe("temprature");
  });

  test.each([
    ["an empty question", { question: "" }],
    ["a blank question", { question: "  " }],
    ["10,000 characters", { question: "a".repeat(10_000) }],
    ["no question", {}],
    ["question and questions", { question: "a?", questions: ["b?"] }],
    ["no questions", { questions: [] }],
    ["17 questions", { questions: Array.from({ length: 17 }, (_, index) => `${index}?`) }],
    ["a template without {}", { question: "a?", template: "Q" }],
  ])("vqa: %s", async (_, options) => {
    const before = edge.node.asked.length;
    const response = await edge.upload("/v1/vqa", picture, options);
    await expectProblem(response, "invalid_request", "vqa");
    expect(edge.node.asked.length).toBe(before);
  });

  test("two files, a file and a field, a part of another name, options that are not JSON", async () => {
    const send = (fill: (data: FormData) => void) => {
      const data = new FormData();
      data.append("image", new Blob([new Uint8Array(picture)]), "a.jpg");
      fill(data);
      return edge.call("/v1/caption", { method: "POST", body: data });
    };
    const two = await send((data) => data.append("image", new Blob(["x"]), "b.jpg"));
    await expectProblem(two, "image_ambiguous", "caption");
    const both = await send((data) =>
      data.set("request", JSON.stringify({ image: { base64: "AAAA" } })),
    );
    await expectProblem(both, "image_ambiguous", "caption");
    const other = await send((data) => data.set("file", "x"));
    await expectProblem(other, "invalid_request", "caption");
    const broken = await send((data) => data.set("request", "{"));
    await expectProblem(broken, "invalid_request", "caption");
  });

  test("GET: no url, a field twice, an unknown field", async () => {
    await expectProblem(await edge.call("/v1/caption"), "image_required", "captionByUrl");
    const twice = await edge.call("/v1/caption?url=http://a.example/&url=http://b.example/");
    await expectProblem(twice, "invalid_request", "captionByUrl");
    const unknown = await edge.call("/v1/caption?url=http://a.example/&nope=1");
    await expectProblem(unknown, "invalid_request", "captionByUrl");
  });
});

describe("pictures that are refused", () => {
  test.each([
    ["text", () => Buffer.from("hello, this is a text"), "image_not_recognised"],
    ["HTML", () => pictures.html, "image_not_recognised"],
    ["random bytes", () => Buffer.from("00112233445566778899aabb", "hex"), "image_not_recognised"],
    ["SVG", () => pictures.svg, "image_not_recognised"],
    ["animated GIF", () => pictures.animatedGif, "image_type_unsupported"],
    ["CMYK JPEG", pictures.cmykJpeg, "image_type_unsupported"],
    ["PNG bomb", pictures.pngBomb, "image_too_large"],
    ["100-megapixel JPEG", pictures.hugeJpeg, "image_too_large"],
    ["truncated JPEG", pictures.truncatedJpeg, "image_corrupt"],
    ["no bytes", () => Buffer.alloc(0), "image_required"],
  ] as const)("%s", async (_, make, code) => {
    const response = await edge.upload("/v1/caption", await make());
    const problem = await expectProblem(response, code, "caption");
    expect(problem.detail).not.toBe("");
  });

  test("and the Worker goes on", async () => {
    expect((await edge.upload("/v1/caption", picture)).status).toBe(200);
  });
});

describe("bodies out of bounds", () => {
  test("413: 30 MB announced, refused before they are sent", async () => {
    const response = await sendRaw(
      { "content-type": "application/json", "content-length": "30000000" },
      (request) => {
        request.flushHeaders();
        return Promise.resolve();
      },
    );
    await expectProblem(response, "body_too_large", "caption");
  });

  test("413: too much and not announced, refused before it ends", async () => {
    // A little over the limit and then silence, without an end: whoever goes on writing after the answer
    // may find the connection closed before he reads it.
    const chunk = Buffer.alloc(1_000_000, 0x20);
    const response = await sendRaw(
      { "content-type": "application/json", "transfer-encoding": "chunked" },
      async (request) => {
        for (let sent = 0; sent < 17 && !request.destroyed; sent++) {
          await new Promise((resolve) => request.write(chunk, resolve));
        }
      },
    );
    await expectProblem(response, "body_too_large", "caption");
  });

  test("413: a picture file over its own limit", async () => {
    const response = await edge.upload("/v1/caption", Buffer.alloc(11_000_000, 1));
    await expectProblem(response, "body_too_large", "caption");
  });

  test("408: a body that drips", async () => {
    const startedAt = Date.now();
    const response = await sendRaw(
      { "content-type": "application/json", "content-length": "1000" },
      async (request) => {
        for (let index = 0; index < 50 && !request.destroyed; index++) {
          request.write(" ");
          await pause(100);
        }
      },
    );
    await expectProblem(response, "request_timeout", "caption");
    expect(Date.now() - startedAt).toBeLessThan(4000);
  });

  test("415: other content types and encodings", async () => {
    const post = (headers: Record<string, string>) =>
      edge.call("/v1/caption", { method: "POST", headers, body: new Uint8Array(picture) });
    for (const headers of [
      { "content-type": "image/jpeg" },
      { "content-type": "text/plain" },
      { "content-type": "application/json", "content-encoding": "gzip" },
    ]) {
      await expectProblem(await post(headers), "unsupported_media_type", "caption");
    }
  });
});
