// A request of a mix as the edge asks it of a node, in the protocol's own words.
import type { EmbedRequest, InferRequest, MatchRequest } from "@blip2-edge/shared/wire/protocol";
import type { AskNode, Question } from "../../edge/src/nodes/ask.ts";
import { embedCall, inferCall, matchCall, type NodeAsked } from "../../edge/src/nodes/calls.ts";
import { picturePixels } from "./mix-pictures.ts";
import { mixTexts } from "./mix-texts.ts";
import type { MixRequest, RequestMix } from "./request-mix.ts";
import { timedComparer, timedImageSize, timedWriter } from "./timed-models.ts";

const partition = "0".repeat(32);

/** Its number is its name here. */
function pictureOf(picture: number) {
  const id = (picture >>> 0).toString(16).padStart(8, "0").repeat(8);
  const image = { image_id: `img_${id}`, size: timedImageSize } as const;
  return { pixels: picturePixels(picture), image };
}

/** Asks the nodes what a request of the mix needs of them. Errors: those of `ask`. */
export async function askFor(
  request: MixRequest,
  ask: AskNode,
  mix: RequestMix,
  remainingMs: () => number,
  signal: AbortSignal,
): Promise<void> {
  const { task, text = 0 } = request;
  const asking = <Asked extends NodeAsked>(
    request: Question<Asked>["request"],
    pixels?: Uint8Array,
  ): Question<Asked> => ({ request, remainingMs, pixels });
  if (task === "search") {
    const texts = [mixTexts.search(text)];
    const asked = asking<EmbedRequest>((deadline_ms) => ({
      ...{ ...timedComparer, texts, deadline_ms },
      features: "projected",
    }));
    await ask(embedCall, asked, signal);
    return;
  }
  const { pixels, image } = pictureOf(request.picture ?? 0);
  if (task === "match") {
    const texts = mixTexts.labels(mix, text);
    const asked = asking<MatchRequest>(
      (deadline_ms) => ({
        ...{ ...timedComparer, partition, image, texts, deadline_ms },
        scores: ["itm"],
      }),
      pixels,
    );
    await ask(matchCall, asked, signal);
    return;
  }
  // In the template that the edge puts a question into.
  const texts = task === "vqa" ? [`Question: ${mixTexts.question(text)} Answer:`] : [null];
  const generation = { max_new_tokens: Math.max(...mix.answer_tokens) };
  const asked = asking<InferRequest>(
    (deadline_ms) => ({ ...timedWriter, partition, image, texts, generation, deadline_ms }),
    pixels,
  );
  await ask(inferCall, asked, signal);
}
