// match_image_text: how well given texts fit a picture, or which of given labels fits best. Two routes of the
// API, one tool: to a model that must choose they are one question.
import { classifyRequestSchema } from "@blip2-edge/shared/contracts/classify";
import { itcSchema, matchRequestSchema } from "@blip2-edge/shared/contracts/match";
import { z } from "zod";
import { cut, pictureFacts, quote, rounded, shareOf } from "../format.ts";
import { sameImageArgumentSchema } from "./image-argument.ts";
import { detailSchema, type Tool, type ToolAnswer, type ToolCall } from "./tool.ts";

const input = z
  .strictObject({
    image: sameImageArgumentSchema,
    texts: matchRequestSchema.shape.texts.optional().describe("Each judged by itself."),
    labels: classifyRequestSchema.shape.labels
      .optional()
      .describe("Competing classes. Texts or labels, not both."),
    model: matchRequestSchema.shape.model,
    detail: detailSchema,
  })
  .refine(({ texts, labels }) => (texts === undefined) !== (labels === undefined), {
    error: "or `labels` must be given, and only one of them",
    path: ["texts"],
  });
type Input = z.output<typeof input>;

export const matchImageText: Tool<typeof input> = {
  name: "match_image_text",
  title: "Match texts",
  description:
    "Scores given texts against one picture. Use it with texts to check a caption or claim (a probability each), with labels to classify (best first, sum 1). Not for finding words (use caption_image).",
  input,
  output: z.object({
    image: z.string(),
    image_id: z.string(),
    matches: z.array(
      z.object({
        text: z.string(),
        score: z.number(),
        itc: itcSchema.describe("Cosine, -1 to 1.").optional(),
      }),
    ),
  }),
  run: async (request, call) =>
    answerOf(request, await scoresOf(request, await call.image(request.image), call)),
};

interface Scored {
  readonly image_id: string;
  readonly image_exact?: false | undefined;
  readonly model: string;
  readonly model_revision: string;
  readonly scores: readonly { text: string; score: number; itc: number | undefined }[];
}

async function scoresOf(
  { texts, labels, model, detail }: Input,
  image: Awaited<ReturnType<ToolCall["image"]>>,
  { client, options }: ToolCall,
): Promise<Scored> {
  if (labels !== undefined) {
    const answer = await client.classify({ image, labels, model }, options);
    const scores = answer.labels.map(({ label, score, itc }) => ({ text: label, score, itc }));
    return { ...answer, scores };
  }
  const scores = detail === "detailed" ? (["itm", "itc"] as const) : (["itm"] as const);
  const answer = await client.match(
    { image, texts: texts ?? [], model, scores: [...scores] },
    options,
  );
  return {
    ...answer,
    scores: answer.matches.map(({ text, itm, itc }) => ({ text, score: itm ?? 0, itc })),
  };
}

function answerOf({ image, detail }: Input, said: Scored): ToolAnswer {
  const detailed = detail === "detailed";
  const share = shareOf(said.scores.length);
  const matches = said.scores.map(({ text, score, itc }) => ({
    text: cut(text, share),
    score: rounded(score),
    ...(detailed && itc !== undefined ? { itc: rounded(itc) } : {}),
  }));
  const { line, fields } = pictureFacts(image, said);
  return {
    lines: [
      line,
      ...matches.map(
        ({ text, score, itc }) =>
          `${score} ${quote(text)}${itc === undefined ? "" : `, cosine ${itc}`}`,
      ),
      ...(detailed ? [`Model ${said.model}`] : []),
    ],
    structured: {
      ...fields,
      matches,
      ...(detailed ? { model: said.model } : {}),
    },
  };
}
