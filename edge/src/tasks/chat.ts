// The next words of a conversation about one picture. Its results are those of captions and answers: the same
// question costs one inference, whichever route asks it.
import type { GenerationRequest } from "@blip2-edge/shared/contracts/generation";
import { defaultQuestionTemplate } from "@blip2-edge/shared/contracts/question-template";
import type { AuthenticatedContext } from "../context.ts";
import { promptOf, type Turn } from "../openai/conversation.ts";
import type { StoredGeneration } from "../cache/keys.ts";
import type { Answered } from "./answered.ts";
import { generate } from "./generate.ts";
import type { Listener } from "./listener.ts";
import { namedIn, type PictureSource } from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";

export interface ChatTask {
  readonly picture: PictureSource;
  readonly model: string | undefined;
  /** None: a caption. */
  readonly turns: readonly Turn[];
  readonly generation: GenerationRequest;
}

export interface ChatTurn extends StoredGeneration, ReturnType<typeof namedIn> {
  readonly model: string;
  readonly model_revision: string;
}

export async function chat(
  rooms: Rooms,
  { picture, model, turns, generation }: ChatTask,
  context: AuthenticatedContext,
  listener?: Listener,
): Promise<Answered<ChatTurn>> {
  const isCaption = turns.length === 0;
  const done = await generate(
    rooms,
    {
      picture,
      model,
      ability: isCaption ? "caption" : "vqa",
      generation,
      textsFor: ({ question_template: template = defaultQuestionTemplate }) => [
        isCaption ? null : promptOf(turns, template),
      ],
    },
    context,
    listener,
  );
  const [result] = done.results;
  if (result === undefined) throw new Error("one text, no result");
  const { model: name, model_revision } = done.model;
  return {
    outcome: done.outcome,
    body: { ...result, ...namedIn(done), model: name, model_revision },
  };
}
