// How well each of several texts fits a picture.
import type { Match, MatchOptions, MatchResponse } from "@blip2-edge/shared/contracts/match";
import { scoreNames } from "@blip2-edge/shared/wire/protocol";
import type { AuthenticatedContext } from "../context.ts";
import type { Answered } from "./answered.ts";
import { namedIn, type PictureSource } from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";
import { score } from "./score.ts";

export async function match(
  rooms: Rooms,
  picture: PictureSource,
  { model, texts, scores = [...scoreNames] }: MatchOptions,
  context: AuthenticatedContext,
): Promise<Answered<MatchResponse>> {
  const scored = await score(rooms, { picture, model, texts, scores }, context);
  // In one order, however they were asked for.
  const names = scoreNames.filter((name) => scores.includes(name));
  return {
    outcome: scored.outcome,
    body: {
      matches: texts.map((text): Match => ({
        text,
        ...Object.fromEntries(names.map((name) => [name, scored.of(text, name)])),
      })),
      ...namedIn(scored),
      model: scored.model.model,
      model_revision: scored.model.model_revision,
    },
  };
}
