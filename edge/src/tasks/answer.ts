// Answers: one question or several about one picture. Each question is cached by itself, and a node is
// asked only for those that are missing.
import {
  applyTemplate,
  defaultQuestionTemplate,
} from "@blip2-edge/shared/contracts/question-template";
import type { Answer, VqaOptions, VqaResponse } from "@blip2-edge/shared/contracts/vqa";
import type { AuthenticatedContext } from "../context.ts";
import type { Answered } from "./answered.ts";
import { generate, moreOf } from "./generate.ts";
import type { Listener } from "./listener.ts";
import { namedIn, type PictureSource } from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";

export async function answer(
  rooms: Rooms,
  picture: PictureSource,
  options: VqaOptions,
  context: AuthenticatedContext,
  listener?: Listener,
): Promise<Answered<VqaResponse>> {
  const { model, question, questions, template, stream: _, ...generation } = options;
  const asked = questions ?? (question === undefined ? [] : [question]);
  const done = await generate(
    rooms,
    {
      picture,
      model,
      ability: "vqa",
      generation,
      textsFor: ({ question_template: own }) =>
        asked.map((text) => applyTemplate(template ?? own ?? defaultQuestionTemplate, text)),
    },
    context,
    listener,
  );
  const about = {
    ...namedIn(done),
    model: done.model.model,
    model_revision: done.model.model_revision,
  };
  const answers = asked.map((text, index): Answer => {
    const result = done.results[index];
    if (result === undefined) throw new Error("a question without a result");
    const { text: answerText, log_prob, finish_reason, usage } = result;
    return {
      question: text,
      answer: answerText,
      log_prob,
      finish_reason,
      usage,
      ...moreOf(result),
    };
  });
  const [first] = answers;
  if (questions === undefined && first !== undefined) {
    return { outcome: done.outcome, body: { ...first, ...about } };
  }
  return { outcome: done.outcome, body: { answers, ...about } };
}
