// Models that only take time: what the engine asks of a model, answered after as long as the profile says. So the node's
// own engine runs them, with its scheduling, batching and costs, on a virtual clock or a real one. Their texts say nothing;
// how long each is, is drawn once for each picture and question.
import type { PreparedRow } from "../../gpu-node/src/generate/running-batch.ts";
import type { Comparer } from "../../gpu-node/src/engine/compare-jobs.ts";
import type { Writer } from "../../gpu-node/src/engine/writing-job.ts";
import { floatTensor } from "../../gpu-node/src/tensor/tensor.ts";
import { timeAt } from "./node-profile.ts";
import { timedBatch, type TimedModelOptions } from "./timed-batch.ts";

export const timedWriter = { model: "timed", model_revision: "0123456789abcdef" } as const;
export const timedComparer = { model: "timed-itm", model_revision: "fedcba9876543210" } as const;
/** Side of the square that both take: the smallest that the protocol lets through. */
export const timedImageSize = 14;

/** A number in 0..1 that hangs on every byte: FNV-1a, mixed. */
function markOf(bytes: ArrayLike<number>): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at += 1)
    hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 8) / 2 ** 24;
}

const charactersPerToken = 4;
/** One beside the text's own. */
const textTokens = (text: string | null): number =>
  1 + Math.ceil((text ?? "").length / charactersPerToken);

/** One number for a picture stands for all that a tower makes of it. */
const looking = ({ profile, sleep }: TimedModelOptions) => ({
  visionKey: "timed",
  pixelValues: (rgb: Uint8Array) => floatTensor(Float32Array.of(markOf(rgb)), [1, 1, 1]),
  async vision(pixelValues: { readonly data: Float32Array }) {
    const images = pixelValues.data.length;
    await sleep(timeAt(profile.look_ms, images));
    return floatTensor(pixelValues.data, [images, 1, 1]);
  },
  features: ({ data }: { readonly data: Float32Array }) => {
    const tensor = floatTensor(data, [data.length, 1, 1]);
    return Promise.resolve({ queryOutput: tensor, projected: tensor });
  },
});

const manifestOf = ({ model, model_revision }: { model: string; model_revision: string }) => ({
  ...{ name: model, model_revision, precision: { name: "timed" } },
  image: { size: timedImageSize },
  vision: { tokens: 1, hidden: 1 },
});

/** Of the manifest only what the engine reads is there. */
export function createTimedWriter(options: TimedModelOptions): Writer {
  const { profile } = options;
  const manifest = {
    ...manifestOf(timedWriter),
    family: "opt",
    question_template: "Question: {} Answer:",
    qformer: { queries: profile.image_tokens, hidden: 1 },
  };
  const writer = {
    ...{ kind: "generation", manifest, tokenizer: {} },
    ...looking(options),
    prepare: ({ projected, text, generation }: Parameters<Writer["prepare"]>[0]): PreparedRow => ({
      row: {
        ...{ prefix: projected, generation },
        textIds: Array.from({ length: textTokens(text) }, () => 1),
      },
      promptIds: [],
      limits: { generation, notes: [] },
      width: Math.max(generation.num_beams, generation.num_return_sequences),
      bytes: 1,
    }),
    openBatch: <Key>() => timedBatch<Key>(options),
    resultOf: (
      prepared: PreparedRow,
      {
        sequences: [{ tokenIds }],
      }: { readonly sequences: readonly [{ readonly tokenIds: readonly number[] }] },
    ) => ({
      ...{ text: "timed", token_ids: [...tokenIds], finish_reason: "stop", log_prob: -1 },
      usage: {
        image_tokens: profile.image_tokens,
        prompt_tokens: prepared.row.textIds.length,
        completion_tokens: tokenIds.length,
      },
    }),
  };
  return writer as unknown as Writer;
}

export function createTimedComparer(options: TimedModelOptions): Comparer {
  const { match_ms: matchMs = [[1, 0]], embed_texts_ms: embedMs = [[1, 0]] } = options.profile;
  const { sleep } = options;
  const manifest = {
    ...manifestOf(timedComparer),
    ...{ family: "retrieval", qformer: { queries: 1, hidden: 1 }, text: { dim: 1 } },
  };
  const vector = floatTensor(Float32Array.of(1), [1]);
  const comparer = {
    ...{ kind: "retrieval", manifest },
    ...looking(options),
    async match(_picture: unknown, texts: readonly string[], scores: readonly ("itm" | "itc")[]) {
      await sleep(timeAt(matchMs, texts.length));
      return texts.map(() => Object.fromEntries(scores.map((score) => [score, 0.5])));
    },
    async embedTexts(texts: readonly string[]) {
      await sleep(timeAt(embedMs, texts.length));
      return texts.map(() => ({
        textOutput: floatTensor(Float32Array.of(1), [1, 1]),
        projected: vector,
      }));
    },
  };
  return comparer as unknown as Comparer;
}
