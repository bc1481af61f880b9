// What is asked: how often each kind, about which pictures (Zipf: the k-th most popular as often as 1/k^s), with which
// questions, how long the answers are, and when. A seed repeats every draw.
import { createRandom, type Random } from "../../gpu-node/src/generate/random.ts";
import { z } from "zod";

const popularitySchema = z.strictObject({
  count: z.int().min(1).max(1_000_000),
  zipf: z.number().min(0).max(3),
});
const share = z.number().min(0).max(1);

export const requestMixSchema = z.strictObject({
  format: z.literal("blip2-edge/request-mix/v1"),
  /** Weights of the kinds of request; together anything. */
  tasks: z.strictObject({
    caption: z.number().min(0).default(0),
    vqa: z.number().min(0).default(0),
    match: z.number().min(0).default(0),
    search: z.number().min(0).default(0),
  }),
  /** The part of the requests about pictures that nobody has asked about before or will again. */
  fresh_pictures: share.default(0),
  /** The others. */
  pictures: popularitySchema,
  /** Questions that are asked about any picture. */
  questions: popularitySchema.default({ count: 20, zipf: 1 }),
  /** Sets of texts that pictures are matched with, and how many texts each has. */
  labels: popularitySchema.default({ count: 10, zipf: 1 }),
  texts_per_match: z.int().min(1).max(64).default(4),
  /** What is searched for. */
  searches: popularitySchema.default({ count: 10_000, zipf: 1 }),
  /** Tokens of an answer: as many of each length between these. */
  answer_tokens: z.tuple([z.int().min(1).max(256), z.int().min(1).max(256)]).default([4, 16]),
  /** 1: at random (Poisson). Above: bursts of so many at once, with as long a wait before each. */
  burst: z.number().min(1).default(1),
});
export type RequestMix = z.infer<typeof requestMixSchema>;
export type Task = keyof RequestMix["tasks"];

export interface MixRequest {
  readonly task: Task;
  /** Counts the pictures by popularity; fresh ones are negative. Undefined where there is none. */
  readonly picture: number | undefined;
  /** Of questions, labels or searches. */
  readonly text: number | undefined;
  /** Equal for requests that one answer serves. */
  readonly key: string;
}

/** Probabilities of 0 .. count-1. */
export function zipfShares({
  count,
  zipf,
}: {
  readonly count: number;
  readonly zipf: number;
}): Float64Array {
  const weights = Float64Array.from({ length: count }, (_, rank) => (rank + 1) ** -zipf);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Draws 0 .. count-1 by their probabilities. */
function drawer(shares: Float64Array): (random: Random) => number {
  const upTo = Float64Array.from(shares);
  for (let at = 1; at < upTo.length; at += 1) upTo[at]! += upTo[at - 1]!;
  return (random) => {
    const wanted = random();
    let [low, high] = [0, upTo.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((upTo[middle] ?? 1) > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

export const taskShares = ({ tasks }: RequestMix): Record<Task, number> => {
  const sum = Object.values(tasks).reduce((total, weight) => total + weight, 0);
  if (sum === 0) throw new RangeError("the mix asks for nothing: give one of its tasks a weight");
  const { caption, vqa, match, search } = tasks;
  return { caption: caption / sum, vqa: vqa / sum, match: match / sum, search: search / sum };
};

/** The requests of a mix, one after another. */
export function requestsOf(mix: RequestMix, seed: number): () => MixRequest {
  const random = createRandom(seed, 1);
  const shares = Object.entries(taskShares(mix)) as [Task, number][];
  const drawTask = drawer(Float64Array.from(shares, ([, weight]) => weight));
  const drawPicture = drawer(zipfShares(mix.pictures));
  const draws = {
    vqa: drawer(zipfShares(mix.questions)),
    match: drawer(zipfShares(mix.labels)),
    search: drawer(zipfShares(mix.searches)),
  };
  let fresh = 0;
  return () => {
    const [task] = shares[drawTask(random)] ?? ["caption" as const];
    const text = task === "caption" ? undefined : draws[task](random);
    if (task === "search") return { task, picture: undefined, text, key: `search/${text}` };
    const picture = random() < mix.fresh_pictures ? (fresh -= 1) : drawPicture(random);
    return { task, picture, text, key: `${task}/${picture}/${text ?? ""}` };
  };
}

/** Seconds from one arrival to the next, at so many a second in the mean. */
export function arrivalsOf({ burst }: RequestMix, perS: number, seed: number): () => number {
  const random = createRandom(seed, 2);
  let left = 0;
  return () => {
    if (left >= 1) {
      left -= 1;
      return 0;
    }
    left += burst - 1;
    return (-Math.log(1 - random()) * burst) / perS;
  };
}

/** How long an answer is, drawn once for a picture and a question. */
export function answerTokens({ answer_tokens: [least, most] }: RequestMix) {
  return (mark: number, text: string | null): number => {
    const place = (mark + (text ?? "").length * 0.618034) % 1;
    return least + Math.floor(place * (Math.max(most, least) - least + 1));
  };
}
