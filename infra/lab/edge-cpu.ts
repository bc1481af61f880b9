// What a picture costs the Worker in CPU time, stage by stage, and what a miss costs it besides.
//
// The stages run in Node with the Worker's own code: the clock of workerd stands still while it computes,
// and both are V8 with the same WebAssembly. Beside each stands plain jsquash on the same file in the same
// run. A miss is then measured twice with a picture of 64 x 64 pixels, of a file that is new and of one that is
// known. The Worker's own part: the whole of it in Node, over bindings in memory and a node that only answers.
// And workerd itself, by the CPU time of its process, also padded to 4 MB: the local KV, R2, D1, Durable Objects
// and cache run in that process too, so this is more than production's.
import { createRequire, registerHooks } from "node:module";
import { parseArgs } from "node:util";
import { canonicalImage, canonicalSize, imageIdOf } from "@blip2-edge/shared/image/canonical";
import { createDecoder } from "@blip2-edge/shared/image/decode";
import { createWebpEncoder } from "@blip2-edge/shared/image/encode-webp";
import { thumbnailOf } from "@blip2-edge/shared/image/thumbnail";
import { checkImage } from "@blip2-edge/shared/image/limits";
import { resampleRgb } from "@blip2-edge/shared/image/resample";
import { sha256Hex } from "@blip2-edge/shared/hex";
import {
  inferRequestSchema,
  protocolHeader,
  protocolVersion,
  type InferRequest,
} from "@blip2-edge/shared/wire/protocol";
import { readFrame } from "@blip2-edge/shared/wire/frame";
import { readBounded } from "@blip2-edge/shared/read-bounded";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { fakeInference } from "../../test/support/fake-answers.ts";
import { fakeModel, startFakeNode } from "../../test/support/fake-node.ts";
import { testCodecModules } from "../../test/support/image-codecs.ts";
import { drawnPhoto, type Draw } from "../../test/support/photos.ts";
import { workerInProcess } from "../../test/support/worker-in-process.ts";
import { startWorker } from "../start/worker.ts";
import { processCpuMs } from "./process-cpu.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    misses: { type: "string", default: "100" },
  },
});
const rounds = Number(values.rounds);
const misses = Number(values.misses);
const modelSide = 364;
const require = createRequire(import.meta.url);

const types = ["jpeg", "png", "webp"] as const;
const megapixels = [
  [1, 1200, 833],
  [3, 2000, 1500],
  [12, 4000, 3000],
] as const;
const stages = ["read", "digest", "header", "decode", "resize", "shrink", "id", "encode"] as const;
type Stage = (typeof stages)[number];

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const median = (list: readonly number[]): number =>
  list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? NaN;

/** Gradients with some noise; with less or none for a PNG, which would be too large to be taken. */
const gradients =
  (noise: number): Draw =>
  (_x, y, _channel, random) =>
    (y & 127) + (random % noise);

const fileOf = (type: (typeof types)[number], width: number, height: number) =>
  drawnPhoto(gradients(type !== "png" ? 24 : width > 2000 ? 1 : 2), [width, height], type);

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      if (at >= bytes.length) {
        controller.close();
        controller.byobRequest?.respond(0);
        return;
      }
      controller.enqueue(bytes.slice(at, at + 65_536));
      at += 65_536;
    },
  });
}

type PlainDecode = (file: ArrayBuffer) => Promise<unknown>;
async function plainDecoder(type: (typeof types)[number]): Promise<PlainDecode> {
  const module = (await import(require.resolve(`@jsquash/${type}/decode.js`))) as {
    readonly default: PlainDecode;
    readonly init: (compiled: unknown) => Promise<unknown>;
  };
  await module.init(await testCodecModules[type]());
  return module.default;
}

const encoder = createWebpEncoder(testCodecModules.webpEncoder);

async function measureStages(file: Uint8Array, decoder: ReturnType<typeof createDecoder>) {
  const spent = {} as Record<Stage, number>;
  let from = cpuMs();
  const lap = (stage: Stage): void => {
    const now = cpuMs();
    spent[stage] = now - from;
    from = now;
  };
  const read = await readBounded(streamOf(file), file.length, undefined, {
    expectedBytes: file.length,
  });
  if (!read.ok) throw new Error("the file was not read");
  lap("read");
  await sha256Hex(read.bytes);
  lap("digest");
  const header = checkImage(read.bytes);
  lap("header");
  const { canonical, thumbnail } = await decoder.decode(read.bytes, header, (pixels) => {
    lap("decode");
    resampleRgb(pixels, modelSide, modelSide);
    const canonical = resampleRgb(pixels, canonicalSize, canonicalSize);
    lap("resize");
    return { canonical, thumbnail: thumbnailOf(pixels, header.orientation) };
  });
  lap("shrink");
  await imageIdOf(canonical);
  lap("id");
  await encoder.encode(thumbnail);
  lap("encode");
  return spent;
}

async function stagesTable(): Promise<void> {
  console.log("| picture | file MB | " + stages.join(" | ") + " | sum | plain jsquash | ratio |");
  console.log("| --- | --- | " + stages.map(() => "---").join(" | ") + " | --- | --- | --- |");
  for (const type of types) {
    const plain = await plainDecoder(type);
    const decoder = createDecoder(testCodecModules, { maxIdleHeapBytes: 1e9 });
    for (const [size, width, height] of megapixels) {
      const file = await fileOf(type, width, height);
      const seen: Record<Stage, number>[] = [];
      const plainly: number[] = [];
      // The first round warms the engine up.
      for (let round = 0; round <= rounds; round++) {
        const spent = await measureStages(file, decoder);
        const from = cpuMs();
        await plain(file.slice().buffer);
        const plainMs = cpuMs() - from;
        if (round === 0) continue;
        seen.push(spent);
        plainly.push(plainMs);
      }
      const each = stages.map((stage) => median(seen.map((spent) => spent[stage])));
      const sum = each.reduce((total, ms) => total + ms, 0);
      const reference = median(plainly);
      console.log(
        `| ${type} ${size} MP | ${(file.length / 1e6).toFixed(1)} | ` +
          `${each.map((ms) => ms.toFixed(1)).join(" | ")} | ${sum.toFixed(0)} | ` +
          `${reference.toFixed(0)} | ${(sum / reference).toFixed(2)} |`,
      );
    }
  }
}

/** Comments between the start and the rest: nothing to decode, all to read. */
function padded(jpeg: Uint8Array, bytes: number): Uint8Array {
  const segment = Buffer.alloc(65_537);
  segment.set([0xff, 0xfe, 0xff, 0xff]);
  const count = Math.ceil(bytes / segment.length);
  return Buffer.concat([jpeg.subarray(0, 2), ...Array(count).fill(segment), jpeg.subarray(2)]);
}

/** The same picture as another file. */
function renamed(jpeg: Uint8Array, name: string): Uint8Array {
  const text = Buffer.from(name);
  const segment = Buffer.from([0xff, 0xfe, 0, text.length + 2]);
  return Buffer.concat([jpeg.subarray(0, 2), segment, text, jpeg.subarray(2)]);
}

async function missesTable(): Promise<void> {
  const node = await startFakeNode();
  const worker = await startWorker({ port: 0, nodeUrl: node.url, nodeKeys: node.keys });
  try {
    const { key } = await createApiKey();
    await worker.putKey({ key, tenant: "lab", name: "lab" });
    const ask = async (file: Uint8Array, prompt: string): Promise<void> => {
      const data = new FormData();
      data.set("image", new Blob([new Uint8Array(file)]), "picture");
      data.set("request", JSON.stringify({ prompt }));
      const headers = { authorization: `Bearer ${key}` };
      const response = await fetch(`${worker.url}/v1/caption`, {
        method: "POST",
        body: data,
        headers,
      });
      if (response.status !== 200) throw new Error(await response.text());
      await response.arrayBuffer();
    };
    const small = await drawnPhoto(gradients(24), [64, 64]);
    console.log("\n| a miss of 64 x 64 pixels | CPU of workerd, ms |\n| --- | --- |");
    const large = padded(small, 4e6);
    const length = `${(small.length / 1000).toFixed(1)} KB`;
    for (const [name, fileOf] of [
      [`${length}, a file that is new`, (prompt: string) => renamed(small, prompt)],
      [`${length}, a file that is known`, () => small],
      ["padded to 4 MB, new", (prompt: string) => renamed(large, prompt)],
      ["padded to 4 MB, known", () => large],
    ] as const) {
      const miss = (prompt: string) => ask(fileOf(prompt), prompt);
      for (let index = 0; index < 20; index++) await miss(`warm ${name} ${index}`);
      const from = processCpuMs(worker.pids());
      for (let index = 0; index < misses; index++) await miss(`${name} ${index}`);
      const each = (processCpuMs(worker.pids()) - from) / misses;
      console.log(`| ${name} | ${each.toFixed(1)} |`);
    }
  } finally {
    await worker.stop();
    await node.stop();
  }
}

/** The Worker's own part of a miss: in this process, over bindings that cost next to nothing. */
async function ownTable(): Promise<void> {
  registerHooks({
    load(url, context, nextLoad) {
      if (!url.endsWith(".wasm")) return nextLoad(url, context);
      const source = `import { readFileSync } from "node:fs";
        export default new WebAssembly.Module(readFileSync(new URL(${JSON.stringify(url)})));`;
      return { format: "module", source, shortCircuit: true };
    },
  });
  const keys = [{ id: "lab", secret: "a-secret-of-the-lab-that-is-long-enough" }];
  const headers = { [protocolHeader]: protocolVersion, "content-type": "application/json" };
  const said = (body: unknown) => new Response(JSON.stringify(body), { headers });
  const worker = await workerInProcess({
    node: { url: "http://node.invalid", keys },
    answerNode(url, init) {
      if (init.method === "GET") return said({ models: [fakeModel] });
      const type = new Headers(init.headers).get("content-type") ?? "";
      const body = init.body as Uint8Array<ArrayBuffer>;
      const json = type.startsWith("application/json")
        ? new TextDecoder().decode(body)
        : readFrame(body, type).json;
      const { model, model_revision, image, texts } = inferRequestSchema.parse(JSON.parse(json));
      const results = fakeInference({ texts, generation: {} } as InferRequest, url);
      return said({ model, model_revision, image_id: image.image_id, results, vision_passes: 0 });
    },
  });
  const authorization = `Bearer ${await worker.keyOf("lab")}`;
  const small = await drawnPhoto(gradients(24), [64, 64]);
  const bodyOf = async (file: Uint8Array, prompt: string) => {
    const data = new FormData();
    data.set("image", new Blob([new Uint8Array(file)]), "picture");
    data.set("request", JSON.stringify({ prompt }));
    const form = new Response(data);
    const type = form.headers.get("content-type") ?? "";
    return { type, body: await form.arrayBuffer() };
  };
  const decoder = createDecoder(testCodecModules, { maxIdleHeapBytes: 1e9 });
  const sizes = [fakeModel.image_size];
  console.log("\n| a miss of 64 x 64 pixels | all | decode, resize, id | the rest, ms |");
  console.log("| --- | --- | --- | --- |");
  for (const [name, fileOf] of [
    ["a file that is new", (prompt: string) => renamed(small, prompt)],
    ["a file that is known", () => small],
  ] as const) {
    const spent: number[] = [];
    const picture: number[] = [];
    for (let index = 0; index < misses + 20; index++) {
      const prompt = `${name} ${index}`;
      const file = fileOf(prompt);
      const { type, body } = await bodyOf(file, prompt);
      let from = cpuMs();
      const sent = { authorization, "content-type": type };
      const response = await worker.fetch("/v1/caption", { method: "POST", headers: sent, body });
      spent.push(cpuMs() - from);
      if (response.headers.get("blip2-served") !== "live") throw new Error(await response.text());
      from = cpuMs();
      if (name.endsWith("new")) await canonicalImage(file, { decoder, sizes });
      picture.push(cpuMs() - from);
    }
    // The first ones warm the engine up.
    const [all, read] = [median(spent.slice(20)), median(picture.slice(20))];
    console.log(
      `| ${name} | ${all.toFixed(1)} | ${read.toFixed(1)} | ${(all - read).toFixed(1)} |`,
    );
  }
}

console.log(`Medians of ${rounds} rounds, CPU milliseconds, on Node ${process.version}.\n`);
await stagesTable();
await ownTable();
if (process.platform === "linux") await missesTable();
