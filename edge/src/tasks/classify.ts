// Which label fits a picture best: a softmax over the ITC scores of the labels, each in its template.
import {
  classifyTemperature,
  defaultLabelTemplate,
  type ClassifyOptions,
  type ClassifyResponse,
} from "@blip2-edge/shared/contracts/classify";
import { applyTemplate } from "@blip2-edge/shared/contracts/question-template";
import type { AuthenticatedContext } from "../context.ts";
import type { Answered } from "./answered.ts";
import { namedIn, type PictureSource } from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";
import { score } from "./score.ts";

export async function classify(
  rooms: Rooms,
  picture: PictureSource,
  { model, labels, template = defaultLabelTemplate }: ClassifyOptions,
  context: AuthenticatedContext,
): Promise<Answered<ClassifyResponse>> {
  const texts = labels.map((label) => applyTemplate(template, label));
  const scored = await score(rooms, { picture, model, texts, scores: ["itc"] }, context);
  const cosines = texts.map((text) => scored.of(text, "itc"));
  const best = Math.max(...cosines);
  const weights = cosines.map((itc) => Math.exp((itc - best) / classifyTemperature));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const ranked = labels
    .map((label, index) => ({
      label,
      score: (weights[index] ?? 0) / sum,
      itc: cosines[index] ?? 0,
    }))
    // By the cosine, which still tells apart what rounds to one score; equal ones stay as they came.
    .toSorted((a, b) => b.itc - a.itc);
  return {
    outcome: scored.outcome,
    body: {
      labels: ranked,
      ...namedIn(scored),
      model: scored.model.model,
      model_revision: scored.model.model_revision,
    },
  };
}
