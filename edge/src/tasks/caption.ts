// A caption: one text (the prompt, or nothing) over one picture.
import type { CaptionOptions, CaptionResponse } from "@blip2-edge/shared/contracts/caption";
import type { AuthenticatedContext } from "../context.ts";
import type { Answered } from "./answered.ts";
import { generate, moreOf } from "./generate.ts";
import type { Listener } from "./listener.ts";
import { namedIn, type PictureSource } from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";

export async function caption(
  rooms: Rooms,
  picture: PictureSource,
  options: CaptionOptions,
  context: AuthenticatedContext,
  listener?: Listener,
): Promise<Answered<CaptionResponse>> {
  const { model, prompt, stream: _, ...generation } = options;
  const done = await generate(
    rooms,
    { picture, model, ability: "caption", generation, textsFor: () => [prompt ?? null] },
    context,
    listener,
  );
  const [result] = done.results;
  if (result === undefined) throw new Error("one text, no result");
  return {
    outcome: done.outcome,
    body: {
      text: result.text,
      ...namedIn(done),
      model: done.model.model,
      model_revision: done.model.model_revision,
      log_prob: result.log_prob,
      finish_reason: result.finish_reason,
      usage: result.usage,
      ...moreOf(result),
    },
  };
}
