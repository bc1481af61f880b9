// A checkpoint of random half-precision weights in a published shape: as large as the real one, in minutes and
// without a download. Its captions are gibberish of the right length.
import { randomBytes } from "node:crypto";
import { mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toFloat16 } from "../../gpu-node/src/quantize/to-float16.ts";
import { tensorShapes, withHeader } from "../support/tiny-checkpoint.ts";
import { type ShapeName, shapes } from "./published-shapes.ts";

/** Normal numbers that every tensor takes stretches of, at a place of its own. */
const poolNumbers = 8 * 1024 * 1024;
const halfBytes = 2;
/** The bits of 1. */
const halfOne = 0x3c00;

/** Standard deviation by what the tensor is: activations stay near one through all layers. */
function spreadOf(name: string, shape: readonly number[]): number {
  if (/query_tokens|class_embedding|shared|embed/.test(name)) return 0.05;
  if (shape.length < 2) return 0.02;
  const inputs = shape.slice(1).reduce((product, size) => product * size, 1);
  return 0.7 * inputs ** -0.5;
}

const isNormScale = (name: string): boolean => /norm.*\.weight$/i.test(name);

/** `spread` * normal numbers as halves. */
function createPool(): (spread: number) => Uint16Array {
  const normal = new Float32Array(poolNumbers);
  let state = 1;
  const uniform = () => {
    state = (state * 48271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
  for (let at = 0; at < poolNumbers; at += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    normal[at] = radius * Math.cos(angle);
    normal[at + 1] = radius * Math.sin(angle);
  }
  const made = new Map<number, Uint16Array>();
  return (spread) => {
    const known = made.get(spread);
    if (known !== undefined) return known;
    const halves = new Uint16Array(poolNumbers);
    toFloat16(
      normal.map((value) => spread * value),
      halves,
    );
    made.set(spread, halves);
    return halves;
  };
}

function tokenizerJson(vocab: number, imageToken: number): unknown {
  const special = (id: number, content: string) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  const added = [special(0, "<pad>"), special(1, "<s>"), special(2, "</s>")];
  const names = new Map(
    [...added, special(imageToken, "<image>")].map(({ id, content }) => [id, content]),
  );
  const words = Array.from({ length: vocab }, (_, id) => [names.get(id) ?? `\u0120w${id}`, id]);
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [...added, special(imageToken, "<image>")],
    normalizer: null,
    pre_tokenizer: {
      type: "ByteLevel",
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", vocab: Object.fromEntries(words), merges: [] },
  };
}

/** Writes the folder, which is made. Gives the bytes of its weights. */
export async function writeRandomCheckpoint(folder: string, shape: ShapeName): Promise<number> {
  const { config, tiedHead, vocab, imageToken } = shapes[shape];
  await mkdir(folder, { recursive: true });
  const put = (name: string, value: unknown) =>
    writeFile(join(folder, name), JSON.stringify(value));
  await put("config.json", config);
  await put("preprocessor_config.json", { size: { height: 224, width: 224 } });
  await put("processor_config.json", { num_query_tokens: 32 });
  await put("tokenizer.json", tokenizerJson(vocab, imageToken));
  await put("tokenizer_config.json", { bos_token: "</s>" });

  const tensors = [...tensorShapes(config, { tiedHead })];
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, dims] of tensors) {
    const start = end;
    end += dims.reduce((product, size) => product * size, halfBytes);
    header[name] = { dtype: "F16", shape: dims, data_offsets: [start, end] };
  }
  const pool = createPool();
  await using file = await open(join(folder, "model.safetensors"), "wx");
  await file.write(withHeader(JSON.stringify(header)));
  for (const [name, dims] of tensors) {
    const count = dims.reduce((product, size) => product * size, 1);
    if (isNormScale(name)) {
      await file.write(new Uint8Array(new Uint16Array(count).fill(halfOne).buffer));
      continue;
    }
    const numbers = pool(spreadOf(name, dims));
    for (let done = 0; done < count;) {
      const from = randomBytes(4).readUInt32LE() % (poolNumbers / 2);
      const piece = numbers.subarray(from, from + Math.min(count - done, poolNumbers / 2));
      await file.write(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
      done += piece.length;
    }
  }
  return end;
}
