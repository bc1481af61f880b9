// How well texts find pictures by each stage of a search, and whether a stage's best score tells a text that is
// answered from one that is not: each text is asked of all pictures and of those alone that do not answer it.
// Pictures are looked at twice, so that memory holds their projected vectors alone.
import { bestCosine } from "./best-cosine.ts";
import { nearestOf } from "./nearest.ts";

/** What is asked of a model; places are those of the set. */
export interface Searched {
  /** Vectors of length 1, [vectors, dim] flat. */
  embedPicture(picture: number): Promise<Float32Array>;
  /** Vectors of length 1, [dim] each. */
  embedTexts(texts: readonly number[]): Promise<readonly Float32Array[]>;
  /** ITM's probability of each text, in their order. */
  match(picture: number, texts: readonly number[]): Promise<readonly number[]>;
}

export interface SearchSet {
  readonly pictures: number;
  /** Of each text the pictures that answer it; none: it is a text that nothing here answers. */
  readonly answers: readonly ReadonlySet<number>[];
}

/** The averaged vector of a picture, the nearest of its vectors, ITM of the first by that. */
export const searchStages = ["text_mean", "itc", "itm"] as const;
export type SearchStage = (typeof searchStages)[number];

export interface Found {
  readonly score: number;
  readonly isRight: boolean;
  /** Whether one of the first ten is right. */
  readonly inTen: boolean;
  /** The best score of what does not answer; absent when everything does. */
  readonly wrong?: number;
}

export interface JudgedPicture {
  readonly picture: number;
  readonly texts: readonly number[];
  readonly probabilities: readonly number[];
}

export interface SearchOptions {
  /** What an earlier run has judged, by picture. */
  readonly known?: ReadonlyMap<number, JudgedPicture>;
  /** Told of every picture that was judged now. */
  readonly onJudged?: (judged: JudgedPicture) => Promise<void>;
  readonly onProgress?: (what: "pictures" | "texts" | "judged", done: number, of: number) => void;
}

const textsAtOnce = 256;
/** Pictures of a text that ITM judges. */
export const judgedHits = 10;

export interface ComparedText extends Readonly<Record<SearchStage, Found>> {
  readonly vector: Float32Array;
}

export async function compareSearch(
  set: SearchSet,
  model: Searched,
  options: SearchOptions = {},
): Promise<readonly ComparedText[]> {
  const { onProgress = () => {} } = options;
  const vectors: Float32Array[] = [];
  for (let picture = 0; picture < set.pictures; picture += 1) {
    vectors.push(await model.embedPicture(picture));
    onProgress("pictures", picture + 1, set.pictures);
  }
  const ranked: Ranked[] = [];
  while (ranked.length < set.answers.length) {
    const from = ranked.length;
    const places = set.answers.slice(from, from + textsAtOnce).map((_, at) => from + at);
    const texts = await model.embedTexts(places);
    const means = vectors.map((picture) => averaged(picture, texts[0]?.length ?? 1));
    for (const [at, text] of texts.entries()) {
      ranked.push(rank(vectors, means, text, set.answers[from + at] ?? new Set()));
    }
    onProgress("texts", ranked.length, set.answers.length);
  }
  const judged = await judge(set, model, ranked, options);
  return ranked.map(({ vector, text_mean, itc, first, firstWrong }, text) => {
    const answers = set.answers[text] ?? new Set();
    const probability = (picture: number): number => judged.get(picture)?.get(text) ?? NaN;
    const best = bestOf(first, probability);
    const wrong = firstWrong.length === 0 ? {} : { wrong: bestOf(firstWrong, probability).score };
    const isRight = answers.has(best.place);
    return {
      vector,
      text_mean,
      itc,
      itm: { score: best.score, isRight, inTen: itc.inTen, ...wrong },
    };
  });
}

interface Ranked {
  readonly vector: Float32Array;
  readonly text_mean: Found;
  readonly itc: Found;
  /** The first by ITC, and the first of those that do not answer. */
  readonly first: readonly number[];
  readonly firstWrong: readonly number[];
}

function rank(
  vectors: readonly Float32Array[],
  means: readonly Float32Array[],
  text: Float32Array,
  answers: ReadonlySet<number>,
): Ranked {
  const wrongPlaces = vectors.flatMap((_, picture) => (answers.has(picture) ? [] : [picture]));
  const stage = (scores: Float32Array) => {
    const first = [...nearestOf(scores, judgedHits).places];
    const wrongScores = Float32Array.from(wrongPlaces, (place) => scores[place] ?? NaN);
    const firstWrong = [...nearestOf(wrongScores, judgedHits).places].map(
      (place) => wrongPlaces[place] ?? -1,
    );
    const [best = -1] = first;
    const [wrong] = firstWrong;
    const found: Found = {
      score: scores[best] ?? NaN,
      isRight: answers.has(best),
      inTen: first.some((place) => answers.has(place)),
      ...(wrong === undefined ? {} : { wrong: scores[wrong] ?? NaN }),
    };
    return { found, first, firstWrong };
  };
  const mean = stage(Float32Array.from(means, (picture) => bestCosine(picture, text)));
  const itc = stage(Float32Array.from(vectors, (picture) => bestCosine(picture, text)));
  const { first, firstWrong } = itc;
  return { vector: text, text_mean: mean.found, itc: itc.found, first, firstWrong };
}

/** By picture, by text; a picture is looked at once for all texts that came near it. */
async function judge(
  { pictures }: SearchSet,
  model: Searched,
  ranked: readonly Ranked[],
  { known, onJudged = async () => {}, onProgress = () => {} }: SearchOptions,
): Promise<ReadonlyMap<number, ReadonlyMap<number, number>>> {
  const asked = Array.from({ length: pictures }, () => new Set<number>());
  for (const [text, { first, firstWrong }] of ranked.entries()) {
    for (const picture of [...first, ...firstWrong]) asked[picture]?.add(text);
  }
  const judged = new Map<number, ReadonlyMap<number, number>>();
  for (const [picture, wanted] of asked.entries()) {
    const texts = [...wanted];
    let done = known?.get(picture);
    if (done === undefined || done.texts.join() !== texts.join()) {
      const probabilities = texts.length === 0 ? [] : await model.match(picture, texts);
      done = { picture, texts, probabilities };
      await onJudged(done);
    }
    const { probabilities } = done;
    judged.set(picture, new Map(texts.map((text, at) => [text, probabilities[at] ?? NaN])));
    onProgress("judged", picture + 1, pictures);
  }
  return judged;
}

function bestOf(places: readonly number[], score: (place: number) => number) {
  return places.reduce(
    (best, place) => (score(place) > best.score ? { place, score: score(place) } : best),
    { place: -1, score: -Infinity },
  );
}

/** The mean of the rows, at length 1. */
function averaged(rows: Float32Array, dim: number): Float32Array {
  const sum = new Float32Array(dim);
  for (let at = 0; at < rows.length; at += 1) sum[at % dim]! += rows[at]!;
  const length = Math.hypot(...sum) || 1;
  return sum.map((value) => value / length);
}
