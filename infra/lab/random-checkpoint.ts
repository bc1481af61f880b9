// Writes a checkpoint of a given shape with random weights in half precision: gigabytes in a minute, the same numbers
// every time. It says nothing true; it weighs and computes what the published one does.
import { mkdir, open, writeFile } from "node:fs/promises";
import path from "node:path";
import { tensorShapes } from "../../test/support/tiny-checkpoint.ts";

export interface RandomCheckpoint {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tiedHead: boolean;
  readonly folder: string;
}

const shardBytes = 4e9;
const chunkNumbers = 1 << 22;

/** 65,536 draws of a standard normal as halves; a random 16-bit number picks one. */
function normalHalves(next: () => number): Uint16Array {
  const bits = new Uint16Array(1 << 16);
  const float = new Float32Array(1);
  const word = new Uint32Array(float.buffer);
  for (let at = 0; at < bits.length; at += 1) {
    const radius = Math.sqrt(-2 * Math.log((next() + 1) / 2 ** 32));
    float[0] = radius * Math.cos((2 * Math.PI * next()) / 2 ** 32);
    const exponent = ((word[0]! >>> 23) & 0xff) - 112; // never near the ends of a half's range
    const half = exponent <= 0 ? 0 : (exponent << 10) | ((word[0]! >>> 13) & 0x3ff);
    bits[at] = ((word[0]! >>> 16) & 0x8000) | half;
  }
  return bits;
}

/** Multiplies a normal half by 2^-power by its exponent alone; what would be subnormal becomes zero. */
const shrink = (half: number, power: number): number =>
  ((half >> 10) & 0x1f) > power ? half - (power << 10) : half & 0x8000;

const one = 0x3c00;

/** How a tensor is filled: ones for norms, else normal numbers with a deviation of 2^-power. */
function fillOf(name: string, shape: readonly number[]): { readonly power: number } | "ones" {
  if (/norm\d?\.weight$/i.test(name)) return "ones";
  // A product keeps the size of what goes in; biases, positions and queries are small.
  const columns = shape.length === 2 ? (shape[1] ?? 1) : shape.length === 4 ? 588 : 0;
  return { power: columns === 0 ? 6 : Math.round(Math.log2(Math.sqrt(columns))) };
}

/** Ids to texts and nothing more: enough to start a text and to print ids that mean nothing. */
function tokenizerOf(text: { model_type: string; vocab_size: number }, imageToken: number) {
  const isOpt = text.model_type === "opt";
  const names = Array.from({ length: text.vocab_size }, (_, id) => `t${id}`);
  const [special, id] = isOpt ? ["</s>", 2] : ["</s>", 1];
  names[id] = special;
  names[imageToken] = "<image>";
  const added = (content: string, at: number) => ({
    id: at,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  const token = { SpecialToken: { id: special, type_id: 0 } };
  const sequence = { Sequence: { id: "A", type_id: 0 } };
  return {
    version: "1.0",
    added_tokens: [added(special, id), added("<image>", imageToken)],
    normalizer: null,
    pre_tokenizer: { type: "Whitespace" },
    post_processor: {
      type: "TemplateProcessing",
      single: isOpt ? [token, sequence] : [sequence, token],
      pair: [],
      special_tokens: { [special]: { id: special, ids: [id], tokens: [special] } },
    },
    decoder: null,
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(names.map((name, at) => [name, at])),
      unk_token: special,
    },
  };
}

/** Bytes written. The folder must be empty or absent. */
export async function writeRandomCheckpoint({
  config,
  tiedHead,
  folder,
}: RandomCheckpoint): Promise<number> {
  await mkdir(folder, { recursive: true });
  const put = (file: string, value: unknown) =>
    writeFile(path.join(folder, file), JSON.stringify(value));
  await put("config.json", config);
  await put("preprocessor_config.json", { size: { height: 224, width: 224 } });
  const text = config["text_config"] as { model_type: string; vocab_size: number };
  await put("tokenizer.json", tokenizerOf(text, config["image_token_index"] as number));
  await put("tokenizer_config.json", { eos_token: "</s>" });

  let state = 0x9e3779b9;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const normals = normalHalves(next);
  const chunk = new Uint16Array(chunkNumbers);
  const weightMap: Record<string, string> = {};
  const shards: (readonly [string, readonly number[]])[][] = [[]];
  let filled = 0;
  for (const entry of tensorShapes(config, tiedHead)) {
    const bytes = entry[1].reduce((product, size) => product * size, 2);
    if (filled > 0 && filled + bytes > shardBytes) {
      shards.push([]);
      filled = 0;
    }
    filled += bytes;
    shards.at(-1)?.push(entry);
  }
  let total = 0;
  for (const [index, entries] of shards.entries()) {
    const number = (at: number) => String(at).padStart(5, "0");
    const file = `model-${number(index + 1)}-of-${number(shards.length)}.safetensors`;
    const header: Record<string, unknown> = {};
    let end = 0;
    for (const [name, shape] of entries) {
      const start = end;
      end += shape.reduce((product, size) => product * size, 2);
      header[name] = { dtype: "F16", shape, data_offsets: [start, end] };
      weightMap[name] = file;
    }
    const json = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    await using handle = await open(path.join(folder, file), "wx");
    await handle.writeFile(Buffer.concat([length, json]));
    for (const [name, shape] of entries) {
      const fill = fillOf(name, shape);
      const numbers = shape.reduce((product, size) => product * size, 1);
      for (let done = 0; done < numbers; done += chunk.length) {
        const part = chunk.subarray(0, Math.min(chunk.length, numbers - done));
        if (fill === "ones") part.fill(one);
        else
          for (let at = 0; at < part.length; at += 1)
            part[at] = shrink(normals[next() & 0xffff]!, fill.power);
        await handle.writeFile(new Uint8Array(part.buffer, 0, part.byteLength));
      }
    }
    total += end;
  }
  await put("model.safetensors.index.json", { metadata: {}, weight_map: weightMap });
  return total;
}
