// Whether quantised products survive what large transformers do: a few channels whose activations are a
// hundred times the others'. What is measured, on one block of random weights of every tower and family:
//
// - 1 % of the channels in the input of every product are 100 times larger: by the scale of the norm before
//   it, as large ViTs have it, or by the rows of the layer that makes it where that is no norm.
// - The columns that read those channels are zero. So the outliers stand in what a product must round, but
//   no output depends on them: nothing large hides an error in the channels that are left.
// - Every graph is fed what the float32 graphs give, so that a block answers for itself alone. The cosine is
//   that of all its outputs with float32's, outlier channels left out. The residual stream is in them, about
//   as large as what the block adds, as at the start of a trained tower.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  float32Tensor,
  type StoredTensor,
  tensorShapes,
  writeTinyCheckpoint,
} from "../../../test/support/tiny-checkpoint.ts";
import { buildArtifact } from "../build/build-artifact.ts";
import { decodeModel, encodeModel, type ModelProto } from "../onnx/model-proto.ts";
import { openSession } from "../runtime/ort.ts";
import {
  type CacheTensor,
  type FloatTensor,
  floatTensor,
  halfTensor,
  idTensor,
  idVector,
  intTensor,
  type Tensor,
} from "../tensor/tensor.ts";
import { floatsOf } from "../../../test/support/run-graph.ts";
import { builtInRecipe, type Recipe } from "./recipe.ts";

const outlierFactor = 100;
const size = { hidden: 512, ffn: 1024, heads: 8, layers: 1 } as const;
const towers = {
  architectures: ["Blip2ForConditionalGeneration"],
  model_type: "blip-2",
  num_query_tokens: 16,
  vision_config: {
    hidden_size: size.hidden,
    intermediate_size: size.ffn,
    num_hidden_layers: size.layers,
    num_attention_heads: size.heads,
    image_size: 8,
    patch_size: 1,
  },
  qformer_config: {
    hidden_size: size.hidden,
    intermediate_size: size.ffn,
    num_hidden_layers: size.layers,
    num_attention_heads: size.heads,
  },
};
const configs = {
  opt: {
    ...towers,
    image_token_index: 317,
    text_config: {
      model_type: "opt",
      vocab_size: 500,
      hidden_size: size.hidden,
      ffn_dim: size.ffn,
      num_hidden_layers: size.layers,
      num_attention_heads: size.heads,
      max_position_embeddings: 64,
      word_embed_proj_dim: size.hidden,
      eos_token_id: 5,
    },
  },
  t5: {
    ...towers,
    image_token_index: 66,
    text_config: {
      model_type: "t5",
      vocab_size: 500,
      d_model: size.hidden,
      d_kv: size.hidden / size.heads,
      d_ff: size.ffn,
      num_layers: size.layers,
      num_heads: size.heads,
      feed_forward_proj: "gated-gelu",
      n_positions: 64,
    },
  },
  retrieval: {
    ...towers,
    architectures: ["Blip2ForImageTextRetrieval"],
    image_text_hidden_size: 64,
    qformer_config: {
      ...towers.qformer_config,
      vocab_size: 500,
      max_position_embeddings: 64,
      use_qformer_text_input: true,
    },
    text_config: { model_type: "opt" },
  },
};

/** Of each family: what its blocks give, as outputs of its graphs. */
const blockOutputs: Readonly<Record<keyof typeof configs, readonly string[]>> = {
  opt: ["image_embeds", "query_output", "logits"],
  t5: ["image_embeds", "query_output", "encoder_hidden_states", "logits"],
  retrieval: ["image_embeds", "query_output", "text_output"],
};

/** Uniform in [0, 1), the same at every run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
}

/** 1 % of the channels, always the same of one width. */
function outlierChannels(width: number): number[] {
  const random = createRandom(width);
  const chosen = new Set<number>();
  while (chosen.size < Math.round(width / 100)) chosen.add(Math.floor(random() * width));
  return [...chosen];
}

const inNorm = /(layer_norm[12]?|layernorm|layer_norm)\.weight$/;
/** Their rows are the input of another product. */
const feedsProduct = /(fc1|intermediate(_query)?\.dense|wi_1|v_proj|\.v|value)\.(weight|bias)$/;

const isProduct = (name: string, shape: readonly number[]): boolean =>
  shape.length === 2 && !/position|relative/.test(name);

/** Standard deviation of the random numbers, such that a block adds about what it is given. */
function spreadOf(name: string, shape: readonly number[]): number {
  if (shape.length === 1) return 0.1;
  if (!isProduct(name, shape) || /embed_tokens|shared|word_embeddings/.test(name)) return 1;
  const even = (shape[1] ?? 1) ** -0.5;
  // T5 does not scale its scores; what is added to the residual stream is kept half as large.
  if (name.endsWith("Attention.q.weight")) return even * (size.hidden / size.heads) ** -0.5;
  const added =
    /(out_proj|self_attn\.projection|fc2|\.o|wo|output\.dense|output_query\.dense)\.weight$/;
  return added.test(name) ? even / 2 : even;
}

function outlierTensors(config: unknown): Map<string, StoredTensor> {
  const random = createRandom(7);
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return new Map(
    [...tensorShapes(config)].map(([name, shape]) => {
      const count = shape.reduce((product, each) => product * each, 1);
      const columns = shape.at(-1) ?? 1;
      const isMatrix = isProduct(name, shape);
      const isNorm = /norm/i.test(name);
      const spread = spreadOf(name, shape);
      const values = Float32Array.from({ length: count }, () => spread * normal());
      if (isNorm && name.endsWith("weight")) for (const at of values.keys()) values[at]! += 1;
      if (inNorm.test(name)) {
        for (const channel of outlierChannels(count)) values[channel]! *= outlierFactor;
      }
      if (feedsProduct.test(name)) {
        const [rows = 0] = shape;
        for (const row of outlierChannels(rows)) {
          for (let at = 0; at < count / rows; at += 1) {
            values[row * (count / rows) + at]! *= outlierFactor;
          }
        }
      }
      if (isMatrix && columns > 1) {
        for (const channel of outlierChannels(columns)) {
          for (let row = 0; row < count / columns; row += 1) values[row * columns + channel] = 0;
        }
      }
      return [name, float32Tensor(shape, values)];
    }),
  );
}

/** Of all numbers but those of the outlier channels of the last axis. */
function cosine(a: Float32Array, b: Float32Array, width: number): number {
  expect(a.length).toBe(b.length);
  const left = new Set(outlierChannels(width));
  let [aa, bb, ab] = [0, 0, 0];
  for (const [at, x] of a.entries()) {
    if (left.has(at % width)) continue;
    const y = b[at] ?? NaN;
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  return ab / Math.sqrt(aa * bb);
}

const drawn = createRandom(3);
const noise = (dims: readonly number[], spread: number): FloatTensor =>
  floatTensor(
    Float32Array.from(
      { length: dims.reduce((product, each) => product * each, 1) },
      () => spread * (drawn() - 0.5) * 12 ** 0.5,
    ),
    dims,
  );

const ids = idTensor([[2, 17, 5, 60, 33, 8, 41, 29]]);
const ones = (count: number) => intTensor(new BigInt64Array(count).fill(1n), [1, count]);
/** What the graphs are fed: the same for every recipe, so that each block is measured by itself. */
const pixels = noise([2, 3, 8, 8], 1);
const prefix = noise([1, 16, size.hidden], 1);
const emptyCache = floatTensor(new Float32Array(0), [1, size.heads, 0, size.hidden / size.heads]);

const oneStep = { past_lengths: idVector([0]), steps: idVector(1), held_back: idVector([0]) };

type Outputs = Readonly<Record<string, FloatTensor>>;

async function runPart(path: string, feeds: Readonly<Record<string, Tensor>>): Promise<Outputs> {
  const session = await openSession(path, { threads: 1, provider: "cpu" });
  try {
    return floatsOf(await session.run(feeds));
  } finally {
    await session.release();
  }
}

/** One pass of every graph, fed with what `given` computed before it. */
async function runGraphs(artifact: string, family: string, given?: Outputs): Promise<Outputs> {
  // Float32 artifacts alone keep keys and values in float32.
  const cached = (tensor: FloatTensor): CacheTensor =>
    given === undefined ? tensor : halfTensor(Float16Array.from(tensor.data), tensor.dims);
  const run = (part: string, feeds: Readonly<Record<string, Tensor>>) =>
    runPart(join(artifact, `${part}.onnx`), feeds);
  const pick = (outputs: Outputs, name: string): FloatTensor => {
    const found = outputs[name];
    if (found === undefined) throw new Error(`no ${name}`);
    return found;
  };
  const made: Record<string, FloatTensor> = {};
  const vision = await run("vision", { pixel_values: pixels });
  made["image_embeds"] = pick(vision, "image_embeds");
  const before = given ?? made;
  const qformer = await run("qformer", { image_embeds: pick(before, "image_embeds") });
  made["query_output"] = pick(qformer, "query_output");
  if (family === "retrieval") {
    const text = await run("text", { input_ids: ids, attention_mask: ones(8) });
    return { ...made, text_output: pick(text, "text_output") };
  }
  const cache = { key: cached(emptyCache), value: cached(emptyCache) };
  if (family === "opt") {
    const decoder = await run("decoder", {
      ...oneStep,
      input_ids: ids,
      prefix_embeds: prefix,
      position_ids: idTensor([Array.from({ length: 24 }, (_, at) => at)]),
      last: idVector([23]),
      "past_key_values.0.key": cache.key,
      "past_key_values.0.value": cache.value,
    });
    return { ...made, logits: pick(decoder, "logits") };
  }
  const encoder = await run("encoder", {
    input_ids: ids,
    prefix_embeds: prefix,
    attention_mask: ones(24),
  });
  made["encoder_hidden_states"] = pick(encoder, "encoder_hidden_states");
  const crossNames = ["key", "value"].map((which) => `past_key_values.0.encoder.${which}`);
  for (const name of crossNames) made[name] = pick(encoder, name);
  const decoder = await run("decoder", {
    ...oneStep,
    input_ids: idTensor([[2]]),
    encoder_attention_mask: ones(24),
    "past_key_values.0.decoder.key": cache.key,
    "past_key_values.0.decoder.value": cache.value,
    ...Object.fromEntries(crossNames.map((name) => [name, cached(pick(before, name))])),
  });
  return { ...made, logits: pick(decoder, "logits") };
}

const leastCosine = 0.99;

function cosineOf(exact: Outputs, made: Outputs, output: string): number {
  const [a, b] = [exact[output], made[output]];
  if (a === undefined || b === undefined) throw new Error(`no ${output}`);
  return cosine(a.data, b.data, a.dims.at(-1) ?? 0);
}

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "outliers-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

for (const family of ["opt", "t5", "retrieval"] as const) {
  const config = configs[family];
  describe(`a ${family} checkpoint with outlier channels`, () => {
    const build = async (recipe: Recipe): Promise<string> => {
      const checkpoint = join(root, family);
      const out = join(root, `${family}-${recipe.name}`);
      const { signal } = new AbortController();
      await buildArtifact({ checkpoint, out, recipe, signal, log: () => undefined });
      return out;
    };
    let exact: Outputs;
    beforeAll(async () => {
      const tensors = outlierTensors(config);
      await writeTinyCheckpoint(join(root, family), { config, tensors });
      exact = await runGraphs(await build(builtInRecipe("fp32")), family);
    });

    test.each(["int8", "int4", "mixed"] as const)("%s keeps every block's output", async (name) => {
      const made = await runGraphs(await build(builtInRecipe(name)), family, exact);
      const found = Object.fromEntries(
        blockOutputs[family].map((output) => [output, cosineOf(exact, made, output)]),
      );
      for (const [output, value] of Object.entries(found)) {
        expect(value, JSON.stringify(found)).toBeGreaterThanOrEqual(leastCosine);
        expect(value, output).toBeLessThan(1 - 1e-7); // it is quantised
      }
    });

    test.each(["int4", "mixed"])("a neighbour in the batch changes nothing: %s", async (name) => {
      const artifact = join(root, `${family}-${name}`);
      const [one = [], ...rest] = [pixels, noise([1, 3, 8, 8], 300)].map(({ data }) => [...data]);
      const alone = floatTensor(Float32Array.from(one), pixels.dims);
      const data = Float32Array.from([...one, ...rest.flat()]);
      const crowd = floatTensor(data, [3, 3, 8, 8]);
      const path = join(artifact, "vision.onnx");
      const [few, many] = [
        await runPart(path, { pixel_values: alone }),
        await runPart(path, { pixel_values: crowd }),
      ];
      const [want, got] = [few, many].map((outputs) => outputs["image_embeds"]?.data ?? []);
      for (const [at, value] of (want ?? []).entries()) {
        if (!(Math.abs((got?.[at] ?? NaN) - value) <= 1e-4 * Math.max(1, Math.abs(value))))
          expect.fail(`${at}`);
      }
    });

    test("the outliers stand in the tower's output too, which the next one reads", () => {
      const embeds = exact["image_embeds"] ?? emptyCache;
      const sizes = Array.from({ length: size.hidden }, (_, channel) => {
        const column = embeds.data.filter((_number, at) => at % size.hidden === channel);
        return column.map(Math.abs).sort()[column.length >> 1] ?? 0;
      });
      const median = sizes.toSorted((a, b) => a - b)[size.hidden >> 1] ?? NaN;
      for (const channel of outlierChannels(size.hidden)) {
        expect((sizes[channel] ?? 0) / median).toBeGreaterThan(outlierFactor / 2);
      }
    });
  });
}

/** Without the marks that make a decoded message one: nodes are mixed with new ones. */
const plain = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  const fields = Object.entries(value).filter(([key]) => !key.startsWith("$"));
  return Object.fromEntries(fields.map(([key, inner]) => [key, plain(inner)]));
};

/**
 * A graph with 8-bit products of one scale for all rows, or one for each, in place of blocks. The
 * weights have a scale for each column.
 */
async function withoutBlocks(
  artifact: string,
  part: "vision" | "encoder",
  scales: "one" | "one a row",
): Promise<string> {
  const model = plain(
    decodeModel(new Uint8Array(await readFile(join(artifact, `${part}.onnx`)))),
  ) as ModelProto;
  const data = await readFile(join(artifact, `${part}.data`));
  const { graph } = model;
  const small = (name: string, dataType: number, dims: number[], values: ArrayBufferView) => {
    const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    graph.initializer.push({ name, dataType, dims: dims.map(BigInt), rawData });
    return name;
  };
  const [float32, uint8, int8, int64] = [1, 2, 3, 7];
  const step = small("step", float32, [], Float32Array.of(1 / 127));
  const middle = small("middle", uint8, [], Uint8Array.of(128));
  const lastAxis = small("last", int64, [1], BigInt64Array.of(-1n));
  const least = small("least", float32, [], Float32Array.of(1e-30));
  const microsoft = { domain: "com.microsoft" };
  graph.node = graph.node.flatMap((node) => {
    const weight = graph.initializer.find(({ name }) => name === node.input[1]);
    if (node.opType !== "MatMul" || weight?.dataLocation !== 1) return [node];
    const place = Object.fromEntries((weight.externalData ?? []).map((e) => [e.key, e.value]));
    const start = Number(place["offset"]);
    const values = new Float32Array(
      new Uint8Array(data.subarray(start, start + Number(place["length"]))).buffer,
    );
    const [inputs = 0, outputs = 0] = weight.dims.map(Number);
    const columnScales = new Float32Array(outputs);
    for (const [at, value] of values.entries()) {
      const column = at % outputs;
      columnScales[column] = Math.max(columnScales[column] ?? 0, Math.abs(value) / 127);
    }
    const codes = Int8Array.from(values, (value, at) => {
      const scale = columnScales[at % outputs] ?? 0;
      return scale === 0 ? 0 : Math.round(value / scale);
    });
    const name = node.name;
    const coded = small(`${name}/codes`, int8, [inputs, outputs], codes);
    const scaled = small(`${name}/scales`, float32, [outputs], columnScales);
    const [x = ""] = node.input;
    const make = (op: string, input: string[], output: string, more: object = {}) => ({
      name: `${name}/${op}`,
      opType: op,
      input,
      output: [output],
      attribute: [],
      ...more,
    });
    const [made = ""] = node.output;
    if (scales === "one") {
      return [make("DynamicQuantizeMatMul", [x, coded, scaled], made, microsoft)];
    }
    const own = (what: string): string => `${name}/${what}`;
    return [
      make("Abs", [x], own("magnitude")),
      make("ReduceMax", [own("magnitude"), lastAxis], own("largest")),
      make("Max", [own("largest"), least], own("scale")),
      make("Div", [x, own("scale")], own("even")),
      make("QuantizeLinear", [own("even"), step, middle], own("rounded")),
      make(
        "MatMulIntegerToFloat",
        [own("rounded"), coded, step, scaled, middle],
        own("product"),
        microsoft,
      ),
      make("Mul", [own("product"), own("scale")], made),
    ];
  });
  model.opsetImport.push({ domain: "com.microsoft", version: 1n });
  const path = join(artifact, `${part} ${scales}.onnx`);
  await writeFile(path, encodeModel(model));
  return path;
}

describe("the same test fails without blocks", () => {
  const encoderFeeds = { input_ids: ids, prefix_embeds: prefix, attention_mask: ones(24) };
  test.each([
    ["vision", "one", { pixel_values: pixels }, "image_embeds"],
    ["encoder", "one", encoderFeeds, "encoder_hidden_states"],
    ["encoder", "one a row", encoderFeeds, "encoder_hidden_states"],
  ] as const)("in the %s graph with %s of the activations' scales", async (...given) => {
    const [part, scales, feeds, output] = given;
    const artifact = join(root, "t5-fp32");
    const exact = await runPart(join(artifact, `${part}.onnx`), feeds);
    const made = await runPart(await withoutBlocks(artifact, part, scales), feeds);
    const found = cosineOf(exact, made, output);
    expect(found).toBeLessThan(leastCosine);
    expect(found).toBeGreaterThan(0.5); // but it is the same model
  });
});
