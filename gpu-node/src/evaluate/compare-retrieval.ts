// Retrieval as LAVIS evaluates it: every picture and text compared by ITC, then the k best of each row scored
// by ITM; final score = ITM logit + ITC, -100 for all others. Pictures are looked at twice, so that memory
// holds their projected vectors alone, and no matrix of all pairs is ever kept.
import { bestCosine } from "./best-cosine.ts";
import { nearestOf, type Nearest } from "./nearest.ts";
import { rankOf, recallsOf, type Recalls } from "./recall.ts";

/** What is asked of a model; places are those of the set. */
export interface Comparer {
  /** Vectors of length 1, [vectors, dim] flat: the picture's similarity to a text is its best one's. */
  embedPicture(picture: number): Promise<Float32Array>;
  /** Vectors of length 1, [dim] each. */
  embedTexts(texts: readonly number[]): Promise<readonly Float32Array[]>;
  /** ITM's raw score of "matches" for each text, in their order. */
  matchLogits(picture: number, texts: readonly number[]): Promise<readonly number[]>;
}

export interface RetrievalSet {
  readonly pictures: number;
  /** Of each text the picture that it belongs to. */
  readonly pictureOf: readonly number[];
}

export interface Matched {
  readonly picture: number;
  readonly texts: readonly number[];
  readonly logits: readonly number[];
}

export interface CompareOptions {
  /** Candidates that ITM scores per row; 0 leaves ITC's order as it is. */
  readonly kTest: number;
  /** What an earlier run has matched, by picture. */
  readonly known?: ReadonlyMap<number, Matched>;
  /** Told of every picture that was matched now. */
  readonly onMatched?: (matched: Matched) => Promise<void>;
  readonly onProgress?: (what: "pictures" | "texts" | "pairs", done: number, of: number) => void;
}

export interface BothWays<T> {
  /** A picture asks for its texts; papers call it TR. */
  readonly imageToText: T;
  /** A text asks for its picture; papers call it IR. */
  readonly textToImage: T;
}

export interface RetrievalResult {
  readonly itc: BothWays<Recalls>;
  /** Null when nothing was matched. */
  readonly itm: BothWays<Recalls> | null;
  readonly ranks: {
    readonly itc: BothWays<readonly number[]>;
    readonly itm: BothWays<readonly number[]> | null;
  };
}

/** LAVIS's score of a pair that was no candidate. */
const notCandidate = -100;
const textsAtOnce = 256;

export async function compareRetrieval(
  set: RetrievalSet,
  comparer: Comparer,
  options: CompareOptions,
): Promise<RetrievalResult> {
  const { kTest, onProgress = () => {} } = options;
  const texts = set.pictureOf.length;
  const pictureVectors: Float32Array[] = [];
  for (let picture = 0; picture < set.pictures; picture += 1) {
    pictureVectors.push(await comparer.embedPicture(picture));
    onProgress("pictures", picture + 1, set.pictures);
  }
  const textVectors: Float32Array[] = [];
  while (textVectors.length < texts) {
    const from = textVectors.length;
    const batch = Array.from({ length: Math.min(textsAtOnce, texts - from) }, (_, at) => from + at);
    textVectors.push(...(await comparer.embedTexts(batch)));
    onProgress("texts", textVectors.length, texts);
  }

  const directions: BothWays<Direction> = {
    imageToText: {
      rows: set.pictures,
      row: (picture) =>
        Float32Array.from(textVectors, (text) => bestCosine(pictureVectors[picture]!, text)),
      isRight: (picture, text) => set.pictureOf[text] === picture,
    },
    textToImage: {
      rows: texts,
      row: (text) =>
        Float32Array.from(pictureVectors, (picture) => bestCosine(picture, textVectors[text]!)),
      isRight: (text, picture) => set.pictureOf[text] === picture,
    },
  };
  const ranked = bothWays(directions, (direction) => rankRows(direction, kTest));
  const itcRanks = bothWays(ranked, ({ ranks }) => ranks);
  const itmRanks = kTest === 0 ? null : await rerank(set, comparer, directions, ranked, options);
  return {
    itc: bothWays(itcRanks, recallsOf),
    itm: itmRanks === null ? null : bothWays(itmRanks, recallsOf),
    ranks: { itc: itcRanks, itm: itmRanks },
  };
}

interface Direction {
  readonly rows: number;
  readonly row: (at: number) => Float32Array;
  readonly isRight: (row: number, column: number) => boolean;
}

interface Ranked {
  readonly ranks: readonly number[];
  readonly nearest: readonly Nearest[];
}

const bothWays = <A, B>(each: BothWays<A>, make: (one: A) => B): BothWays<B> => ({
  imageToText: make(each.imageToText),
  textToImage: make(each.textToImage),
});

function rankRows({ rows, row, isRight }: Direction, k: number): Ranked {
  const ranks: number[] = [];
  const nearest: Nearest[] = [];
  for (let at = 0; at < rows; at += 1) {
    const scores = row(at);
    ranks.push(rankOf(scores, (column) => isRight(at, column)));
    if (k > 0) nearest.push(nearestOf(scores, k));
  }
  return { ranks, nearest };
}

/** A pair is matched once, though both its picture and its text may have asked for it. */
async function rerank(
  set: RetrievalSet,
  comparer: Comparer,
  directions: BothWays<Direction>,
  ranked: BothWays<Ranked>,
  { known, onMatched = async () => {}, onProgress = () => {} }: CompareOptions,
): Promise<BothWays<readonly number[]>> {
  const askedBy = Array.from({ length: set.pictures }, (): { text: number; slot: number }[] => []);
  ranked.textToImage.nearest.forEach(({ places }, text) => {
    places.forEach((picture, slot) => askedBy[picture]?.push({ text, slot }));
  });
  const finals = bothWays(ranked, ({ nearest }) => nearest.map(({ scores }) => scores.slice()));

  for (let picture = 0; picture < set.pictures; picture += 1) {
    const own = ranked.imageToText.nearest[picture]?.places ?? new Uint32Array();
    const asked = askedBy[picture] ?? [];
    const wanted = [...new Set([...own, ...asked.map(({ text }) => text)])].sort((a, b) => a - b);
    let matched = known?.get(picture);
    if (matched === undefined || matched.texts.join() !== wanted.join()) {
      const logits = await comparer.matchLogits(picture, wanted);
      matched = { picture, texts: wanted, logits };
      await onMatched(matched);
    }
    const logitOf = new Map(matched.texts.map((text, at) => [text, matched.logits[at] ?? NaN]));
    own.forEach((text, slot) => {
      finals.imageToText[picture]![slot]! += logitOf.get(text) ?? NaN;
    });
    for (const { text, slot } of asked) {
      finals.textToImage[text]![slot]! += logitOf.get(text) ?? NaN;
    }
    onProgress("pairs", picture + 1, set.pictures);
  }

  const ranksOf = (
    direction: Direction,
    nearest: readonly Nearest[],
    scores: readonly Float32Array[],
    columns: number,
  ): readonly number[] =>
    nearest.map(({ places }, row) => {
      const full = new Float32Array(columns).fill(notCandidate);
      places.forEach((place, slot) => (full[place] = scores[row]![slot]!));
      return rankOf(full, (column) => direction.isRight(row, column));
    });
  return {
    imageToText: ranksOf(
      directions.imageToText,
      ranked.imageToText.nearest,
      finals.imageToText,
      set.pictureOf.length,
    ),
    textToImage: ranksOf(
      directions.textToImage,
      ranked.textToImage.nearest,
      finals.textToImage,
      set.pictures,
    ),
  };
}
