// `blip2 eval captions|vqa|retrieval|search|labels`: how good a model is on a set whose truth is known, by the measures that
// papers print. docs/evaluation.md has every formula.
import { deliver } from "./eval/report.ts";
import { evaluateCaptions } from "./eval/captions.ts";
import { evaluateLabels } from "./eval/labels.ts";
import { evaluateRetrieval } from "./eval/retrieval.ts";
import { evaluateSearch } from "./eval/search.ts";
import { evalUsage, parseEvalSettings } from "./eval/settings.ts";
import { evaluateVqa } from "./eval/vqa.ts";
import type { CliIo } from "./io.ts";

export { evalUsage };
export const evalHelp = `  --annotations  captions, retrieval, search: COCO's JSON or a list of {"image","caption":[...]}; vqa: VQA v2's annotations;
                 labels: COCO's instances or a list of {"image","labels":[...]}
  --questions    VQA v2's questions
  --images       the folder of the pictures; --image-names COCO_val2014_{12}.jpg where a questions file names none
  --score        texts that were made elsewhere: a list of {"image_id","caption"} or {"question_id","answer"}
  --preset       settings of published evaluations (default: that of the task); plain: the model's own
  --limit        the first N pictures or questions; the report says so
  --unanswered   search: texts that no picture answers, a JSON list
  --calibrate    search, labels: write what the scores mean beside the artifact, for its node to announce
  --k-test       retrieval: candidates that ITM scores per row (default 128); 0 is ITC alone
  --report       everything as JSON; a run that is ended goes on from FILE.partial when it is called again
  --plot         the figures as SVG`;

const evaluators = {
  captions: evaluateCaptions,
  vqa: evaluateVqa,
  retrieval: evaluateRetrieval,
  search: evaluateSearch,
  labels: evaluateLabels,
} as const;

/** Exit status: 0 when every item was scored. Errors: AppError, for the entry to print. */
export async function evaluate(args: readonly string[], io: CliIo): Promise<number> {
  const settings = parseEvalSettings(args);
  const finished = await evaluators[settings.task](settings, io);
  await deliver(finished, settings, io);
  await finished.finish();
  return 0;
}
