// `blip2 ask IMAGE QUESTION... --model DIR`: questions about one picture, over one look at it.
import { applyTemplate, isQuestionTemplate } from "@blip2-edge/shared/contracts/question-template";
import { eachImage } from "./each-image.ts";
import {
  generationFlags,
  generationUsage,
  parseGeneration,
  spellOutFlags,
  withNotes,
} from "./generation-flags.ts";
import { loadGenerationModel } from "../runtime/load-model.ts";
import type { CliIo } from "./io.ts";
import { parseFlags, usageError } from "./parse-flags.ts";
import { parseProvider, providerFlag, providerUsage } from "./provider-flag.ts";

export const askUsage = `blip2 ask IMAGE QUESTION... --model DIR [--template "Question: {} Answer:"] ${generationUsage} ${providerUsage} [--json]`;

/** Exit status: 0 when every question is answered. Errors: AppError, for the entry to print. */
export async function ask(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseFlags(
    spellOutFlags(args),
    {
      model: { type: "string" },
      template: { type: "string" },
      json: { type: "boolean", default: false },
      ...providerFlag,
      ...generationFlags,
    },
    askUsage,
  );
  const [image, ...questions] = positionals;
  if (image === undefined || questions.length === 0 || values.model === undefined) {
    throw usageError("Give one image, at least one question and --model", askUsage);
  }
  if (questions.some((question) => question.trim() === "")) {
    throw usageError("A question is empty", askUsage);
  }
  const { generation, notes } = parseGeneration(values, askUsage);
  for (const note of notes) io.stderr(note);
  const { json } = values;
  if (values.template !== undefined && !isQuestionTemplate(values.template)) {
    throw usageError("--template must contain {} exactly once, for the question", askUsage);
  }
  return eachImage(
    {
      images: [image],
      modelDir: values.model,
      load: loadGenerationModel,
      provider: parseProvider(values.provider, askUsage),
      json,
      async work(model, path, { imageId, pixels }) {
        const { projected } = await model.lookAt(pixels);
        const template = values.template ?? model.manifest.question_template;
        const texts = questions.map((question) => applyTemplate(template, question));
        const { results } = await model.generate(projected.data, texts, generation, io);
        results.forEach((found, index) => {
          const { text: answer, ...result } = withNotes(found, notes);
          const question = questions[index];
          const { name, model_revision } = model.manifest;
          if (json) {
            const about = { image: path, image_id: imageId, question, answer, ...result };
            io.stdout(JSON.stringify({ ...about, model: name, model_revision }));
          } else {
            for (const note of found.notes ?? []) io.stderr(note);
            for (const { text } of found.sequences ?? [found]) {
              io.stdout(questions.length === 1 ? text : `${question} ${text}`);
            }
          }
        });
      },
    },
    io,
  );
}
