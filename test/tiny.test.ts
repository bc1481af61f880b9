// The smoke test of the whole stack, run first: a picture in at the Worker, a true caption out, cached the
// second time. Everything else assumes that this holds.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createClient } from "@blip2-edge/shared/client";
import { createApiKey } from "../edge/src/auth/api-key.ts";
import { nodeMetric } from "./support/node-metrics.ts";
import { samplesDir, startTestStack, type TestStack } from "./support/stack.ts";

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack();
});
afterAll(() => stack?.stop());

interface Sample {
  readonly file: string;
  readonly caption: string;
}

const post = (
  body: FormData | string,
  headers: Record<string, string> = {},
  apiKey = stack.apiKey,
) =>
  fetch(`${stack.url}/v1/caption`, {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}`, ...headers },
    body,
  });

test("a picture in at the Worker, a true caption out, cached the second time", async () => {
  const samples = JSON.parse(await readFile(path.join(samplesDir, "samples.json"), "utf8")) as {
    samples: Sample[];
  };
  for (const sample of samples.samples) {
    const bytes = await readFile(path.join(samplesDir, sample.file));
    const form = () => {
      const data = new FormData();
      data.set("image", new Blob([bytes]), sample.file);
      return data;
    };
    const first = await post(form());
    expect(first.status).toBe(200);
    expect(first.headers.get("cache-status")).toContain("fwd=");
    const answer = (await first.json()) as Record<string, unknown>;
    expect(answer).toMatchObject({ text: sample.caption, model: "nano", finish_reason: "stop" });
    const inferences = await nodeMetric(stack, "inferences_total");

    const second = await post(form());
    expect(second.status).toBe(200);
    expect(second.headers.get("cache-status")).toContain("hit");
    expect(await second.json()).toEqual(answer);
    expect(second.headers.get("etag")).toBe(first.headers.get("etag"));

    // The same picture as JSON is the same picture.
    const third = await post(JSON.stringify({ image: { base64: bytes.toString("base64") } }), {
      "content-type": "application/json",
    });
    expect(third.headers.get("cache-status")).toContain("hit");
    expect(await nodeMetric(stack, "inferences_total")).toBe(inferences);
  }
});

test("another tenant's first request for the same picture is an inference of its own", async () => {
  const other = await createApiKey();
  await stack.worker.putKey({ key: other.key, tenant: "other", name: "another tenant" });
  const list = await readFile(path.join(samplesDir, "samples.json"), "utf8");
  const { samples } = JSON.parse(list) as { samples: Sample[] };
  const data = () => {
    const form = new FormData();
    form.set("image", new Blob([picture]));
    return form;
  };
  const picture = await readFile(path.join(samplesDir, samples[0]?.file ?? ""));
  await post(data());
  const before = await nodeMetric(stack, "inferences_total");
  const visionPasses = await nodeMetric(stack, "vision_passes_total");

  const first = await post(data(), {}, other.key);
  expect(first.headers.get("cache-status")).toContain("fwd=");
  expect(await nodeMetric(stack, "inferences_total")).toBe(before + 1);
  // Not even the node's features are shared: how long an answer takes tells nothing.
  expect(await nodeMetric(stack, "vision_passes_total")).toBe(visionPasses + 1);
  expect((await post(data(), {}, other.key)).headers.get("cache-status")).toContain("hit");
});

test("a question about a picture gets its answer", async () => {
  const bytes = await readFile(path.join(samplesDir, "samples.json"), "utf8");
  const { samples } = JSON.parse(bytes) as {
    samples: { file: string; questions: { question: string; answer: string }[] }[];
  };
  const [sample] = samples;
  if (sample === undefined) throw new Error("there is no sample picture");
  const data = new FormData();
  data.set("image", new Blob([await readFile(path.join(samplesDir, sample.file))]));
  data.set(
    "request",
    JSON.stringify({ questions: sample.questions.map(({ question }) => question) }),
  );
  const response = await fetch(`${stack.url}/v1/vqa`, {
    method: "POST",
    headers: { authorization: `Bearer ${stack.apiKey}` },
    body: data,
  });
  expect(response.status).toBe(200);
  const { answers } = (await response.json()) as {
    answers: { question: string; answer: string }[];
  };
  expect(answers.map(({ question, answer }) => ({ question, answer }))).toEqual(
    sample.questions.map(({ question, answer }) => ({ question, answer })),
  );
});

test("a caption is streamed while the node writes it, and is the caption", async () => {
  const list = await readFile(path.join(samplesDir, "samples.json"), "utf8");
  const [sample] = (JSON.parse(list) as { samples: Sample[] }).samples;
  if (sample === undefined) throw new Error("there is no sample picture");
  const bytes = await readFile(path.join(samplesDir, sample.file));
  const client = createClient({ url: stack.url, key: stack.apiKey });
  const texts: string[] = [];
  // Another length than before: nothing is cached.
  for await (const event of client.streams.caption({ image: { bytes }, max_new_tokens: 24 })) {
    if (event.event === "text") texts.push(event.text);
    else expect(event.result.text).toBe(sample.caption);
  }
  expect(texts.length).toBeGreaterThan(1);
  expect(texts.join("")).toBe(sample.caption);
});
