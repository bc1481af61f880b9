// `blip2-edge vqa IMAGE QUESTION...`: questions about one picture, asked of a Worker.
import { maxQuestions } from "@blip2-edge/shared/contracts/vqa";
import { clientOf, commonHelp, parseFlags, usageError } from "./flags.ts";
import { generationFlags, generationHelp, generationOf } from "./generation-flags.ts";
import type { CliIo } from "./io.ts";
import { eachPicture, pictureHelp } from "./picture.ts";

const usage =
  "blip2-edge vqa IMAGE QUESTION... [--template TEXT] [--model NAME] [generation] [--json]";
export const vqaHelp = `${usage}

${pictureHelp}
  QUESTION     up to ${maxQuestions}
  --template   what the model reads, {} standing for the question
${generationHelp}
${commonHelp}`;

/** Exit status: 0 when every question is answered. Errors: AppError, for the entry to print. */
export async function vqa(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseFlags(
    args,
    { template: { type: "string" }, model: { type: "string" }, ...generationFlags },
    usage,
  );
  const [picture, ...questions] = positionals;
  if (picture === undefined || questions.length === 0) {
    throw usageError("Give a picture and at least one question", usage);
  }
  const { template, model, json } = values;
  const options = { template, model, questions, ...generationOf(values, usage) };
  const client = clientOf(values, io, usage);
  return eachPicture([picture], { json, io }, async (name, image) => {
    const answer = await client.vqa({ image, ...options }, { signal: io.signal });
    const { answers, ...about } = "answers" in answer ? answer : { ...answer, answers: [answer] };
    for (const one of answers) {
      if (json) io.stdout(JSON.stringify({ image: name, ...about, ...one }));
      else io.stdout(answers.length === 1 ? one.answer : `${one.question} ${one.answer}`);
    }
  });
}
