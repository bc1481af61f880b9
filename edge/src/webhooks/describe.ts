// What our models say of a picture, made fit for a CMS: one caption through the house's own task (cache, quotas,
// nodes), how well it matches the picture, and tags.
import type { ConnectionOptions } from "@blip2-edge/shared/contracts/connections";
import { altText } from "@blip2-edge/shared/alt-text";
import { defaultLabelTemplate } from "@blip2-edge/shared/contracts/classify";
import { maxCaptionLength } from "@blip2-edge/shared/contracts/suggestions";
import { applyTemplate } from "@blip2-edge/shared/contracts/question-template";
import { AppError } from "@blip2-edge/shared/problem";
import type { AuthenticatedContext } from "../context.ts";
import { captionTags } from "../search/caption-tags.ts";
import { caption } from "../tasks/caption.ts";
import { match } from "../tasks/match.ts";
import type { PictureSource } from "../tasks/open-picture.ts";
import type { Rooms } from "../tasks/rooms.ts";
import type { Targets, Words } from "./adapter.ts";
import { doubtOf } from "./doubt.ts";
import { Hopeless, type Reason } from "./reasons.ts";
import { fittingLabels, labelsInCaption } from "./tags.ts";

export interface Described {
  readonly words: Words;
  readonly imageId: string;
  readonly model: string;
  readonly modelRevision: string;
  readonly logProb: number;
  /** Null: not asked, or no model could say. */
  readonly itm: number | null;
  /** Why it is only to be suggested, if it is. */
  readonly doubt: Reason | undefined;
}

/** Throws what captions and matches throw, and Hopeless when there is nothing to say. */
export async function describe(
  rooms: Rooms,
  bytes: Uint8Array<ArrayBuffer>,
  targets: Targets,
  options: ConnectionOptions,
  context: AuthenticatedContext,
): Promise<Described> {
  const picture: PictureSource = { kind: "bytes", bytes, from: "upload" };
  const { body: said } = await caption(
    rooms,
    picture,
    {
      ...(options.model === null ? {} : { model: options.model }),
      ...(options.prompt === null ? {} : { prompt: options.prompt }),
    },
    context,
  );
  const { glossary, max_length: maxLength } = options;
  const rules = { glossary, isUnfinished: said.finish_reason === "length" };
  const alt = altText(said.text, { ...rules, maxLength });
  if (alt === "") throw new Hopeless("nothing_to_say");
  const scores = await scoresOf(rooms, picture, said.text, targets, options, context);
  const itm = options.min_itm === null ? null : (scores?.caption ?? null);
  return {
    words: {
      ...(targets.alt === undefined ? {} : { alt }),
      ...(targets.caption === undefined
        ? {}
        : { caption: altText(said.text, { ...rules, maxLength: maxCaptionLength }) }),
      ...(targets.tags === undefined ? {} : { tags: tagsOf(said.text, scores?.labels, options) }),
    },
    imageId: said.image_id,
    model: said.model,
    modelRevision: said.model_revision,
    logProb: said.log_prob,
    itm,
    doubt: doubtOf(said, itm, options),
  };
}

interface Scores {
  readonly caption: number | undefined;
  readonly labels: readonly { readonly label: string; readonly score: number }[];
}

/** In one call: the picture is looked at once. Undefined: no model can say. */
async function scoresOf(
  rooms: Rooms,
  picture: PictureSource,
  text: string,
  targets: Targets,
  { min_itm: minItm, vocabulary }: ConnectionOptions,
  context: AuthenticatedContext,
): Promise<Scores | undefined> {
  const asksCaption = minItm !== null && text.trim() !== "";
  const labels = targets.tags === undefined ? [] : vocabulary;
  const templates = labels.map((label) => applyTemplate(defaultLabelTemplate, label));
  const texts = [...new Set([...(asksCaption ? [text] : []), ...templates])];
  if (texts.length === 0) return { caption: undefined, labels: [] };
  try {
    const { body } = await match(rooms, picture, { texts, scores: ["itm"] }, context);
    const scoreOf = (asked: string): number | undefined =>
      body.matches.find((each) => each.text === asked)?.itm;
    return {
      caption: asksCaption ? scoreOf(text) : undefined,
      labels: labels.map((label, index) => ({
        label,
        score: scoreOf(templates[index] ?? "") ?? 0,
      })),
    };
  } catch (error) {
    // Where no model compares, captions are still worth a suggestion.
    if (error instanceof AppError && error.code === "model_not_found") return undefined;
    throw error;
  }
}

function tagsOf(
  text: string,
  scored: Scores["labels"] | undefined,
  { vocabulary, max_tags: max }: ConnectionOptions,
): string[] {
  if (vocabulary.length === 0) return captionTags(text).slice(0, max);
  return scored === undefined
    ? labelsInCaption(text, vocabulary, max)
    : fittingLabels(text, scored, max);
}
