// caption_image: what is in one picture or several. Some may fail while others succeed; the call fails when all
// do.
import {
  captionRequestSchema,
  captionResponseSchema,
  captionStyles,
} from "@blip2-edge/shared/contracts/caption";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import pMap from "p-map";
import { cut, describeFailure, nameOf, pictureFacts, quote, rounded, shareOf } from "../format.ts";
import { imageArgumentSchema } from "./image-argument.ts";
import { detailSchema, type Tool, type ToolCall } from "./tool.ts";

const maxImages = 16;
/** Calls at a time, so that one batch leaves room for others. */
const concurrency = 4;
const { model, log_prob } = captionResponseSchema.shape;

const input = z.strictObject({
  images: z.array(imageArgumentSchema).min(1).max(maxImages),
  prompt: captionRequestSchema.shape.prompt.describe("Its beginning: 'a photo of'."),
  style: z.enum(captionStyles).optional(),
  model: captionRequestSchema.shape.model,
  detail: detailSchema.describe("detailed adds scores and model."),
});
const captionSchema = z.object({
  image: z.string(),
  // Answers that fail have neither; the pattern is the API's affair.
  image_id: z.string().optional(),
  caption: z.string().optional(),
  problem: z.string().optional(),
  log_prob: log_prob.optional(),
  model: model.optional(),
});
type Caption = z.output<typeof captionSchema>;

export const captionImage: Tool<typeof input> = {
  name: "caption_image",
  title: "Caption pictures",
  description:
    "Says in one sentence what each picture shows. Use it to learn what pictures contain or to draft alt text (style alt). Not for specific facts (use ask_image).",
  input,
  output: z.object({ captions: z.array(captionSchema) }),
  async run({ images, detail, ...asked }, call) {
    const share = shareOf(images.length);
    const faults: AppError[] = [];
    let done = 0;
    const one = async (image: string): Promise<Caption> => {
      try {
        const answer = await call.client.caption(
          { ...asked, image: await call.image(image) },
          call.options,
        );
        return captionOf(image, answer, share, detail === "detailed");
      } catch (error) {
        call.options.signal.throwIfAborted();
        const fault = error instanceof AppError ? error : new AppError("internal", "");
        faults.push(fault);
        return { image: nameOf(image), problem: cut(describeFailure(fault), share) };
      }
    };
    const told = async (image: string): Promise<Caption> => {
      const caption = await one(image);
      done += 1;
      await call.progress(done, images.length, nameOf(image));
      return caption;
    };
    const captions = await pMap(images, told, { concurrency });
    const [fault] = faults;
    if (fault !== undefined && faults.length === images.length) throw fault;
    return { lines: captions.map(lineOf), structured: { captions } };
  },
};

function captionOf(
  image: string,
  answer: Awaited<ReturnType<ToolCall["client"]["caption"]>>,
  share: number,
  detailed: boolean,
): Caption {
  return {
    ...pictureFacts(image, answer).fields,
    caption: cut(answer.text, share),
    ...(detailed
      ? {
          log_prob: rounded(answer.log_prob),
          model: answer.model,
        }
      : {}),
  };
}

function lineOf({ image, image_id, caption, problem, log_prob, model }: Caption): string {
  if (caption === undefined) return `${quote(image)}: failed: ${problem ?? ""}`;
  const more = log_prob === undefined ? "" : `, log_prob ${log_prob}, model ${model}`;
  const name = image === image_id || image_id === undefined ? image : `${image} (${image_id})`;
  return `${quote(name)}: ${quote(caption)}${more}`;
}
