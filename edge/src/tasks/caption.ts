// A caption: one text (the prompt, or nothing) over one picture.
import { altText } from "@blip2-edge/shared/alt-text";
import type { CaptionOptions, CaptionResponse } from "@blip2-edge/shared/contracts/caption";
import type { StoredGeneration } from "../cache/keys.ts";
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
  const { model, prompt, style, stream: _, ...generation } = options;
  const done = await generate(
    rooms,
    { picture, model, ability: "caption", generation, textsFor: () => [prompt ?? null] },
    context,
    listener,
  );
  const [said] = done.results;
  if (said === undefined) throw new Error("one text, no result");
  const result = style === "alt" ? asAltText(said) : said;
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

/** What is cached are the model's own words. */
const asAltText = ({ sequences, ...said }: StoredGeneration): StoredGeneration => ({
  ...withAltText(said),
  ...(sequences === undefined ? {} : { sequences: sequences.map(withAltText) }),
});

const withAltText = <Said extends Pick<StoredGeneration, "text" | "finish_reason">>(
  said: Said,
): Said => ({
  ...said,
  text: altText(said.text, { isUnfinished: said.finish_reason === "length" }),
});
