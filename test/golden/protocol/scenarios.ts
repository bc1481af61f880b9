// What edge and node say to each other, one scenario for each kind of message. Names are in the goldens: a scenario is
// added and never renamed or taken away, since every later version replays it.
import { AppError } from "@blip2-edge/shared/problem";
import {
  type CatalogModel,
  catalogSchema,
  type EmbedRequest,
  type InferRequest,
  type InferResult,
  type MatchRequest,
} from "@blip2-edge/shared/wire/protocol";
import type { Question } from "../../../edge/src/nodes/ask.ts";
import { embedCall, inferCall, matchCall, type NodeAsked } from "../../../edge/src/nodes/calls.ts";
import type { Dispatched } from "../../../gpu-node/src/engine/dispatcher.ts";
import { floatTensor } from "../../../gpu-node/src/tensor/tensor.ts";
import { models, type Behaviour, type EdgeSide } from "./sides.ts";

export interface Scenario extends Behaviour {
  /** What the edge asks; gives what it understood. */
  readonly ask: (edge: EdgeSide) => Promise<unknown>;
}

const deadlineMs = 15_000;
const pixels = Uint8Array.from({ length: 14 * 14 * 3 }, (_, index) => (index * 7) % 256);
const never = new AbortController().signal;
const named = ({ model, model_revision }: CatalogModel) => ({ model, model_revision });
const picture = {
  partition: "00112233445566778899aabbccddeeff",
  image: { image_id: `img_${"0123456789abcdef".repeat(4)}`, size: 14 },
} as const;
const caption = { ...named(models.opt), ...picture, texts: [null], generation: {} };
const match = { ...named(models.itm), ...picture, texts: ["two cafés", "a lion"] };

const question = <Asked extends NodeAsked>(
  request: Question<Asked>["request"],
  more: Partial<Question<Asked>> = {},
): Question<Asked> => ({ request, remainingMs: () => deadlineMs, ...more });

const said = (text: string, more: Partial<InferResult> = {}): InferResult => ({
  text,
  token_ids: [102, 1275, 4, 2],
  finish_reason: "stop",
  log_prob: -0.25,
  usage: { image_tokens: 32, prompt_tokens: 7, completion_tokens: 4 },
  ...more,
});
const counted = { visionPasses: 1, stages: { vision: 12.5, prefill: 5, decode: 6 }, queueMs: 0.5 };
const written = (...results: InferResult[]): Behaviour["run"] =>
  always({ kind: "generate", results, firstTokenMs: 17, ...counted });
const embedded = (dims: readonly number[], values: readonly number[]): Behaviour["run"] =>
  always({ kind: "embed", embeddings: [floatTensor(Float32Array.from(values), dims)], ...counted });
const always =
  (outcome: Dispatched): Behaviour["run"] =>
  () =>
    Promise.resolve(outcome);
const failing =
  (error: AppError): Behaviour["run"] =>
  async () => {
    throw error;
  };

const askCaption: Scenario["ask"] = async ({ ask }) =>
  (
    await ask(
      inferCall,
      question<InferRequest>((deadline_ms) => ({ ...caption, deadline_ms })),
      never,
    )
  ).answer;

/** The texts as they were heard, and the answer. */
const askStreamed: Scenario["ask"] = async ({ ask }) => {
  const heard: (readonly [number, string])[] = [];
  const asked = question<InferRequest>(
    (deadline_ms) => ({ ...caption, stream: true, deadline_ms }),
    { pixels, onText: (index, text) => void heard.push([index, text]) },
  );
  const { answer } = await ask(inferCall, asked, never);
  return { heard, answer };
};

const refusals: Readonly<Record<string, AppError>> = {
  overloaded: new AppError("overloaded", "The node is full.", { retryAfterS: 3 }),
  share_exceeded: new AppError("share_exceeded", "More than its share.", { retryAfterS: 4 }),
  revision_mismatch: new AppError("revision_mismatch", "This node holds another."),
  prompt_too_long: new AppError("prompt_too_long", "The text has 600 tokens, 512 fit."),
  engine_restarted: new AppError("engine_restarted", "Send it again.", { retryAfterS: 2 }),
  deadline_exceeded: new AppError("deadline_exceeded", "Not in time.", { retryAfterS: 1 }),
  poison_request: new AppError("poison_request", "It stops the engine."),
  invalid_request: new AppError("invalid_request", "Not of the form.", {
    errors: [{ field: "texts.0", message: "is too long" }],
  }),
};

export const scenarios: Readonly<Record<string, Scenario>> = {
  catalog: {
    held: false,
    run: written(said("")),
    ask: async ({ exchange }) =>
      catalogSchema.parse(
        await exchange(
          { method: "GET", path: "/v1/catalog", contentType: undefined, body: undefined },
          never,
        ),
      ),
  },
  caption_held: { held: true, run: written(said("a red café \u2028🟥")), ask: askCaption },
  caption_with_pixels_traced: {
    held: false,
    run: written(said("a red cube")),
    async ask({ ask }) {
      let status = 0;
      const asked = question<InferRequest>((deadline_ms) => ({ ...caption, deadline_ms }), {
        pixels,
        timed: (work) =>
          work({
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            answered: (heard) => void (status = heard),
          }),
      });
      return { ...(await ask(inferCall, asked, never)).answer, status };
    },
  },
  pixels_required: {
    held: false,
    run: written(said("a red cube")),
    async ask({ ask }) {
      const asked = question<InferRequest>((deadline_ms) => ({ ...caption, deadline_ms }), {
        loadPixels: () => Promise.resolve(pixels),
      });
      const { answer, attempts, sentPixels } = await ask(inferCall, asked, never);
      return { answer, attempts, sentPixels };
    },
  },
  questions_with_beams: {
    held: true,
    run: written(
      said("two", {
        sequences: ["two", "three"].map((text) => ({
          text,
          token_ids: [80, 2],
          finish_reason: "stop" as const,
          log_prob: -1.5,
        })),
        notes: ["temperature changes nothing without do_sample"],
      }),
      said("a lion", { finish_reason: "length" }),
    ),
    ask: async ({ ask }) =>
      (
        await ask(
          inferCall,
          question<InferRequest>((deadline_ms) => ({
            ...caption,
            texts: ["Question: how many? Answer:", "Question: what? Answer:"],
            generation: {
              max_new_tokens: 8,
              min_new_tokens: 1,
              max_length: 60,
              min_length: 1,
              num_beams: 3,
              num_return_sequences: 2,
              length_penalty: -1,
              early_stopping: "never",
              repetition_penalty: 1.5,
              no_repeat_ngram_size: 2,
              temperature: 0.5,
            },
            deadline_ms,
          })),
          never,
        )
      ).answer,
  },
  sampled_in_bulk: {
    held: true,
    run: written(said("a lion")),
    ask: async ({ ask }) =>
      (
        await ask(
          inferCall,
          question<InferRequest>((deadline_ms) => ({
            ...caption,
            generation: { do_sample: true, temperature: 0.7, top_k: 40, top_p: 0.9, seed: 7 },
            deadline_ms,
            priority: "bulk",
          })),
          never,
        )
      ).answer,
  },
  streamed: {
    held: false,
    async run(job, signal, onText) {
      onText?.(0, "a red");
      onText?.(0, " cube");
      return written(said("a red cube"))(job, signal);
    },
    ask: askStreamed,
  },
  streamed_and_broken_off: {
    held: false,
    async run(job, signal, onText) {
      onText?.(0, "a red");
      return failing(new AppError("engine_restarted", "Send it again.", { retryAfterS: 2 }))(
        job,
        signal,
      );
    },
    ask: askStreamed,
  },
  match_with_pixels: {
    held: false,
    run: always({
      kind: "match",
      matches: [
        { itm: 0.9762, itc: 0.4406 },
        { itm: 0.0238, itc: -0.125 },
      ],
      ...counted,
    }),
    async ask({ ask }) {
      const asked = question<MatchRequest>(
        (deadline_ms) => ({
          ...{ ...match, deadline_ms },
          scores: ["itm", "itc"],
        }),
        { pixels },
      );
      return (await ask(matchCall, asked, never)).answer;
    },
  },
  match_by_one_score: {
    held: true,
    run: always({ kind: "match", matches: [{ itc: 0.4406 }], ...counted, visionPasses: 0 }),
    async ask({ ask }) {
      const asked = question<MatchRequest>((deadline_ms) => ({
        ...{ ...match, texts: ["a lion"], deadline_ms },
        scores: ["itc"],
      }));
      return (await ask(matchCall, asked, never)).answer;
    },
  },
  embed_picture: {
    held: false,
    run: embedded([2, 3], [0.1, -1, 0.25, 1.5, -0, 3.4028234663852886e38]),
    async ask({ ask }) {
      const asked = question<EmbedRequest>(
        (deadline_ms) => ({
          ...{ ...named(models.itm), ...picture, deadline_ms },
          features: "projected",
        }),
        { pixels },
      );
      return (await ask(embedCall, asked, never)).answer;
    },
  },
  embed_text: {
    held: false,
    run: embedded([3], [0.5, 0.25, -0.75]),
    async ask({ ask }) {
      const asked = question<EmbedRequest>((deadline_ms) => ({
        ...{ ...named(models.itm), texts: ["a lion"], deadline_ms },
        features: "projected",
      }));
      return (await ask(embedCall, asked, never)).answer;
    },
  },
  embed_text_raw: {
    held: false,
    run: embedded([2, 2], [0.5, 0.25, -0.75, 1]),
    async ask({ ask }) {
      const asked = question<EmbedRequest>((deadline_ms) => ({
        ...{ ...named(models.itm), texts: ["a lion"], deadline_ms },
        features: "query",
        priority: "interactive",
      }));
      return (await ask(embedCall, asked, never)).answer;
    },
  },
  not_ready: { held: true, state: "starting", run: written(said("")), ask: askCaption },
  ...Object.fromEntries(
    Object.entries(refusals).map(([code, error]) => [
      `refused_${code}`,
      { held: true, run: failing(error), ask: askCaption },
    ]),
  ),
};
