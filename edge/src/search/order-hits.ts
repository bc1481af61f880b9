// The order of what an index found, and what each place is worth: one way of asking orders by its own score,
// several by the fusion of their ranks; what image-text matching has judged stands first.
import type { SearchScores, SearchStage } from "@blip2-edge/shared/contracts/search";
import {
  probabilityOf,
  type Calibration,
  type Curve,
  type TextFacts,
} from "@blip2-edge/shared/wire/calibration";
import { fusedScores } from "./fuse.ts";
import type { Ranked } from "./image-index.ts";

export interface OrderedHit extends Omit<Ranked, "scores"> {
  readonly scores: SearchScores;
  /** 0 to 1. */
  readonly score: number;
  readonly decidedBy: SearchStage;
}

export interface WayOfAsking {
  readonly text: boolean;
  readonly image: boolean;
  readonly hybrid: boolean;
  readonly maxSimilarity: boolean;
}

/** What the scores of the model mean for a text; undefined: nobody has measured it. */
export interface Calibrated extends Pick<Calibration, "text_mean" | "itc" | "itm"> {
  readonly facts: TextFacts;
}

/** Measured: so the cut-off refuses one true hit in thirty in small namespaces as well (docs/search.md). */
const sizePower = 0.5;

/**
 * Curves measured among so many pictures, for another number of them: among few, little comes near by chance. One
 * that does not say among how many stays as it is.
 */
export function amongPictures(calibration: Calibration, pictures: number): Calibration {
  const { pictures: measured = pictures } = calibration;
  const shift = sizePower * Math.log(measured / Math.max(1, pictures));
  const shifted = (name: "text_mean" | "itc" | "itm") => {
    const curve = calibration[name];
    return curve === undefined ? {} : { [name]: { ...curve, intercept: curve.intercept + shift } };
  };
  return { ...calibration, ...shifted("text_mean"), ...shifted("itc"), ...shifted("itm") };
}

/** 0 to 1: a probability where the stage is calibrated, else the score as it is, from 0. */
const scoreOf = (curve: Curve | undefined, score: number, facts?: TextFacts): number =>
  curve === undefined ? Math.min(1, Math.max(0, score)) : probabilityOf(curve, score, facts);

/** The stage whose score says what a hit of a text query is worth before ITM. */
export const textStage = ({ maxSimilarity }: Pick<WayOfAsking, "maxSimilarity">) =>
  maxSimilarity ? ("itc" as const) : ("text_mean" as const);

export function orderHits(
  records: readonly Ranked[],
  way: WayOfAsking,
  calibration: Calibrated | undefined,
): OrderedHit[] {
  const ofText = textStage(way);
  const ofImage = way.maxSimilarity ? "image" : "image_mean";
  const ranking = (name: keyof Ranked["scores"]): Ranked[] =>
    records
      .filter(({ scores }) => scores[name] !== undefined)
      .toSorted((a, b) => (b.scores[name] ?? 0) - (a.scores[name] ?? 0) || compare(a.id, b.id));
  const rankings = [
    ...(way.text ? [ranking(ofText)] : []),
    ...(way.image ? [ranking(ofImage)] : []),
    ...(way.text && way.hybrid ? [ranking("full_text")] : []),
  ];
  const fused = fusedScores(rankings);
  const isFused = rankings.length > 1;
  const ordered = isFused
    ? [...fused.keys()].toSorted(
        (a, b) => (fused.get(b) ?? 0) - (fused.get(a) ?? 0) || compare(a.id, b.id),
      )
    : (rankings[0] ?? []);
  const decidedBy = isFused ? "fusion" : way.maxSimilarity ? "max_similarity" : "mean";
  return ordered.map((record): OrderedHit => {
    const { scores } = record;
    const score = way.text
      ? scoreOf(calibration?.[ofText], scores[ofText] ?? 0, calibration?.facts)
      : scoreOf(undefined, scores[ofImage] ?? 0);
    return { ...record, score, decidedBy };
  });
}

/** `judged`: the ITM probability of pictures, by image_id; those of them among the first are put in its order. */
export function reordered(
  hits: readonly OrderedHit[],
  first: number,
  judged: ReadonlyMap<string, number>,
  calibration: Calibrated | undefined,
): OrderedHit[] {
  const head = hits.slice(0, first).map((hit): OrderedHit => {
    const itm = judged.get(hit.imageId);
    if (itm === undefined) return hit;
    const score = scoreOf(calibration?.itm, itm, calibration?.facts);
    return { ...hit, scores: { ...hit.scores, itm }, score, decidedBy: "itm" };
  });
  const isJudged = ({ scores }: OrderedHit) => scores.itm !== undefined;
  const byItm = head.filter(isJudged).toSorted((a, b) => (b.scores.itm ?? 0) - (a.scores.itm ?? 0));
  return [...byItm, ...head.filter((hit) => !isJudged(hit)), ...hits.slice(first)];
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
