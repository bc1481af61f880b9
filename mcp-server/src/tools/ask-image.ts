// ask_image: one question or several about one picture, answered in the order they were asked.
import { answerSchema, maxQuestions, vqaRequestSchema } from "@blip2-edge/shared/contracts/vqa";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import { cut, pictureFacts, quote, rounded, shareOf } from "../format.ts";
import { sameImageArgumentSchema } from "./image-argument.ts";
import { detailSchema, type Tool } from "./tool.ts";

const { questions, model } = vqaRequestSchema.shape;

const input = z.strictObject({
  image: sameImageArgumentSchema,
  questions: questions
    .unwrap()
    .max(maxQuestions)
    .describe("Short, each about one thing; all in one call."),
  model,
  detail: detailSchema,
});

export const askImage: Tool<typeof input> = {
  name: "ask_image",
  title: "Ask about a picture",
  description:
    "Answers questions about one picture with a word or short phrase. Use it for specific facts: what, how many, which colour. Not for a description (use caption_image). Answers can be wrong; log_prob near 0 means sure.",
  input,
  output: z.object({
    image: z.string(),
    image_id: z.string(),
    answers: z.array(
      z.object({ question: z.string(), answer: z.string(), log_prob: answerSchema.shape.log_prob }),
    ),
  }),
  async run({ image, questions, model, detail }, call) {
    const said = await call.client.vqa(
      { image: await call.image(image), questions, model },
      call.options,
    );
    if (!("answers" in said)) throw new AppError("api_unexpected", "The API gave no answers.");
    // Question and answer share what a result may have.
    const share = Math.floor(shareOf(said.answers.length) / 2);
    const answers = said.answers.map(({ question, answer, log_prob }) => ({
      question: cut(question, share),
      answer: cut(answer, share),
      log_prob: rounded(log_prob),
    }));
    const { line, fields } = pictureFacts(image, said);
    return {
      lines: [
        line,
        ...answers.map(
          ({ question, answer, log_prob }) =>
            `${quote(question)}: ${quote(answer)}, log_prob ${log_prob}`,
        ),
        ...(detail === "detailed" ? [`Model ${said.model}`] : []),
      ],
      structured: {
        ...fields,
        answers,
        ...(detail === "detailed" ? { model: said.model } : {}),
      },
    };
  },
};
