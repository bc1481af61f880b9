// What is asked of a node under load: the same questions in every run, so that two runs can be compared.
import type { GenerationRequest } from "@blip2-edge/shared/contracts/generation";
import { createRandom } from "../generate/random.ts";
import type { Asked } from "./node-client.ts";

export interface Lengths {
  readonly shortest: number;
  readonly longest: number;
}

const goldenRatio = (1 + Math.sqrt(5)) / 2;

/** Numbers of new tokens, spread evenly from the shortest to the longest however many are taken. */
export const mixedLengths = (count: number, { shortest, longest }: Lengths): number[] =>
  Array.from({ length: count }, (_, at) => {
    const place = (at * goldenRatio) % 1;
    return shortest + Math.floor(place * (longest - shortest + 1));
  });

export const exactly = (tokens: number): GenerationRequest => ({
  max_new_tokens: tokens,
  min_new_tokens: tokens,
});

/** A plain caption of a picture that the node has not seen. */
export const freshCaption = (picture: number, tokens: number): Asked => ({
  picture,
  withPixels: true,
  text: null,
  generation: exactly(tokens),
});

/** A plain caption of a picture that the node holds. */
export const heldCaption = (picture: number, tokens: number): Asked => ({
  ...freshCaption(picture, tokens),
  withPixels: false,
});

const words = ["what", "is", "in", "the", "picture", "and", "how", "many", "are", "there"];

/** Short enough for the smallest model's context. */
const maxWords = 6;

/** A question as long as any of a soak about a picture of its own, and as long an answer: a batch of these is the largest. */
export const largestRequest = (index: number, { longest }: Lengths): Asked => ({
  picture: index,
  withPixels: true,
  text: questionOf(Array.from({ length: maxWords }, (_, at) => words[at % words.length] ?? "")),
  generation: exactly(longest),
});

const questionOf = (asked: readonly string[]): string => `Question: ${asked.join(" ")}? Answer:`;

/**
 * Request `index` of a soak: a picture of its own or one of the last few, with or without a question, short or
 * long, greedy, by beams or by sampling.
 */
export function soakRequest(index: number, { shortest, longest }: Lengths): Asked {
  const random = createRandom(1, index);
  const below = (end: number): number => Math.floor(random() * end);
  const question = Array.from(
    { length: 1 + below(maxWords) },
    () => words[below(words.length)] ?? "",
  );
  const ways: readonly GenerationRequest[] = [
    {},
    {},
    { num_beams: 3 },
    { do_sample: true, temperature: 0.8, top_p: 0.9, seed: index },
    { do_sample: true, top_k: 20, num_return_sequences: 2, seed: index },
    { repetition_penalty: 1.3 },
  ];
  return {
    picture: random() < 0.5 ? index : Math.max(0, index - 1 - below(8)),
    // An earlier picture may be held or not: pixels are sent with it all the same.
    withPixels: true,
    text: random() < 0.5 ? null : questionOf(question),
    generation: {
      ...ways[below(ways.length)],
      max_new_tokens: shortest + below(longest - shortest),
    },
  };
}
