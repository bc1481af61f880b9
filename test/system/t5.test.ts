// A T5 checkpoint through every door of the node: build, inspect, caption, ask, trace, serve. What they must
// say was computed by the reference (test/golden/t5).
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import { catalogSchema, inferResponseSchema } from "@blip2-edge/shared/wire/protocol";
import { createSigner, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ask } from "../../gpu-node/src/cli/ask.ts";
import { build } from "../../gpu-node/src/cli/build.ts";
import { caption } from "../../gpu-node/src/cli/caption.ts";
import { inspect } from "../../gpu-node/src/cli/inspect.ts";
import type { CliIo } from "../../gpu-node/src/cli/io.ts";
import { createImageReader } from "../../gpu-node/src/cli/read-image.ts";
import { trace } from "../../gpu-node/src/cli/trace.ts";
import { startNode } from "../../gpu-node/src/http/start-node.ts";
import { silentLog } from "../../gpu-node/src/observe/log.ts";
import { readGolden } from "../golden/safetensors.ts";
import { root } from "../support/stack.ts";

const goldens = join(root, "test/golden/t5/published");
const picture = join(root, "test/golden/picture.png");
interface Run {
  readonly text: string | null;
  readonly generation: Readonly<Record<string, number>>;
  readonly token_ids: readonly number[];
  /** The generated ids alone. */
  readonly decoded: string;
}

let folder: string;
let artifact: string;
let runs: readonly Run[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "t5-"));
  artifact = join(folder, "tiny-t5");
  const golden = await readFile(join(goldens, "golden.json"), "utf8");
  ({ runs } = JSON.parse(golden) as { runs: readonly Run[] });
  await cli(build, join(goldens, "checkpoint"), "--out", artifact, "--precision", "fp32");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function cli(
  command: (args: readonly string[], io: CliIo) => Promise<number>,
  ...args: readonly string[]
): Promise<string[]> {
  const out: string[] = [];
  const io = {
    stdout: (line: string) => void out.push(line),
    stderr: () => undefined,
    signal: new AbortController().signal,
  };
  expect(await command(args, io)).toBe(0);
  return out;
}

const flags = (generation: Readonly<Record<string, number>>): string[] =>
  Object.entries(generation).flatMap(([name, value]) => [
    `--${name.replaceAll("_", "-")}`,
    String(value),
  ]);

test("inspect names the family and its four parts", async () => {
  const [text = ""] = await cli(inspect, artifact, "--json", "--verify");
  const described = JSON.parse(text) as { parts: Record<string, { parameters: number }> };
  expect(described).toMatchObject({ family: "t5", context: 512, queries: 32, verified: true });
  expect(Object.keys(described.parts).sort()).toEqual(["decoder", "encoder", "qformer", "vision"]);
  // Three blocks of 26 x 21 projections and two layers 41 wide, norms, 32 buckets of 3 heads, 73 words;
  // and the keys and values of three cross attentions.
  const block = 4 * 26 * 21 + 3 * 26 * 41 + 2 * 26;
  const encoder = 3 * block + 26 + 32 * 3 + 73 * 26 + 3 * 2 * 26 * 21;
  expect(described.parts["encoder"]?.parameters).toBe(encoder);
});

test("caption and ask say what the reference says, without the prompt", async () => {
  for (const { text, generation, token_ids, decoded } of runs) {
    const prompt = text === null ? [] : ["--prompt", text];
    const args = [picture, "--model", artifact, ...prompt, ...flags(generation), "--json"];
    const [line = ""] = await cli(caption, ...args);
    expect(JSON.parse(line)).toMatchObject({ token_ids, text: decoded.trim() });
  }
  const question = "what is in the picture?";
  const run = runs.find(({ text }) => text === `Question: ${question} Answer:`);
  const args = [picture, question, "--model", artifact, ...flags(run?.generation ?? {}), "--json"];
  const [line = ""] = await cli(ask, ...args);
  expect(JSON.parse(line)).toMatchObject({ question, token_ids: run?.token_ids });
});

test("trace writes every tensor of the first step", async () => {
  const out = join(folder, "trace.safetensors");
  const text = runs[1]?.text ?? "";
  await cli(trace, picture, "--model", artifact, "--text", text, "--out", out);
  const tensors = await readGolden(out);
  expect(Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape]))).toEqual({
    pixel_values: [1, 3, 224, 224],
    image_embeds: [1, 257, 22],
    query_output: [1, 32, 20],
    projected: [1, 32, 26],
    logits: [1, 73],
  });
  const logits = tensors.get("logits")?.data ?? new Float32Array();
  expect(logits.indexOf(Math.max(...logits))).toBe(runs[1]?.token_ids[0]);
});

test("a node serves it: catalogue, answers of a batch, and a prompt that is too long", async () => {
  const keys = parseSigningKeys("test:0123456789abcdef0123456789abcdef");
  const node = await startNode(
    {
      host: "127.0.0.1",
      port: 0,
      keys,
      maxQueueMs: 60_000,
      maxJobs: 16,
      drainMs: 5000,
      bodyTimeoutMs: 5000,
      rssBytes: () => 0,
      engine: { modelDirs: [artifact], threads: 1, provider: "cpu", featureStoreMaxBytes: 1 << 24 },
    },
    silentLog,
  );
  try {
    const signer = createSigner({ keys });
    const send = async (method: string, path: string, frame?: ReturnType<typeof writeFrame>) => {
      const url = `${node.url}${path}`;
      const headers = await signer.sign({ method, url, ...frame });
      const body = frame === undefined ? {} : { body: frame.body as Uint8Array<ArrayBuffer> };
      return fetch(url, { method, headers, ...body });
    };
    const { models } = catalogSchema.parse(await (await send("GET", "/v1/catalog")).json());
    expect(models).toMatchObject([{ model: "tiny-t5", family: "t5", image_size: 224 }]);

    const { pixels } = await createImageReader()(picture, 224);
    const infer = (texts: readonly (string | null)[], generation: object) => {
      const json = JSON.stringify({
        model: "tiny-t5",
        model_revision: models[0]?.model_revision,
        partition: "0".repeat(32),
        image: { image_id: `img_${"a".repeat(64)}`, size: 224 },
        texts,
        generation,
        deadline_ms: 30_000,
      });
      return send("POST", "/v1/infer", writeFrame({ json, pixels }));
    };
    const batch = runs.slice(0, 2);
    const answer = inferResponseSchema.parse(
      await (
        await infer(
          batch.map(({ text }) => text),
          { max_new_tokens: 9 },
        )
      ).json(),
    );
    expect(answer.vision_passes).toBe(1);
    expect(answer.results.map(({ token_ids }) => token_ids)).toEqual(
      batch.map(({ token_ids }) => token_ids.slice(0, 9)),
    );
    expect(answer.results[0]?.usage).toEqual({
      image_tokens: 32,
      prompt_tokens: 1,
      completion_tokens: 9,
    });

    const long = await infer(["a photo of ".repeat(200)], {});
    expect(await long.json()).toMatchObject({
      code: "prompt_too_long",
      detail: expect.stringMatching(/text 601: 633 of 512 positions/) as string,
    });
  } finally {
    await node.stop();
  }
});
