// `blip2 eval vqa`: an answer to every question, scored against what people answered.
import { applyTemplate } from "@blip2-edge/shared/contracts/question-template";
import type { Manifest } from "../../artifact/manifest.ts";
import { lavisQuestion } from "../../evaluate/lavis-text.ts";
import { readQuestionFiles } from "../../evaluate/question-files.ts";
import { scoreAnswers, type TypeScore } from "../../evaluate/score-answers.ts";
import type { CliIo } from "../io.ts";
import { readData } from "./data.ts";
import { type Finished, inReport, inWords } from "./report.ts";
import type { EvalSettings } from "./settings.ts";
import { sourceTexts, takeFirst } from "./source.ts";

/** More types of question than a plot has room for are left to the report. */
const plottedTypes = 12;

export async function evaluateVqa(
  settings: EvalSettings,
  io: CliIo,
): Promise<Finished & { readonly finish: () => Promise<void> }> {
  const annotations = await readData(settings.annotations, io.signal);
  const questions = await readData(settings.questions ?? "", io.signal);
  const { imageNames } = settings;
  const all = readQuestionFiles({
    questions,
    annotations,
    ...(imageNames === undefined ? {} : { imageNames }),
  });
  const { items, notes } = takeFirst(all, settings.limit, "questions");
  const { text } = settings.preset;
  const templateOf = (manifest: Manifest): string =>
    settings.preset.template ??
    ("question_template" in manifest ? manifest.question_template : "{}");
  const made = await sourceTexts(
    {
      kind: "answers",
      items,
      allIds: all.map(({ id }) => id),
      textOf: ({ question }, manifest) =>
        applyTemplate(templateOf(manifest), text === "lavis" ? lavisQuestion(question) : question),
      head: (manifest) => ({
        template: templateOf(manifest),
        text,
        questions: questions.sha256,
        ...(imageNames === undefined ? {} : { image_names: imageNames }),
      }),
    },
    settings,
    io,
  );

  const scores = scoreAnswers(items.map((item, at) => ({ ...item, answer: made.texts[at] ?? "" })));
  const pictures = new Set(items.map(({ file }) => file)).size;
  const title = `vqa: ${items.length} questions about ${pictures} pictures`;
  const about =
    made.model === null
      ? "made elsewhere"
      : `${made.model.name} ${made.model.model_revision}, ${settings.presetName}`;
  const both = [
    { label: "accuracy", ...scores.accuracy },
    { label: "by VQA v2's rules", ...scores.accuracyOfficial },
  ];
  const byType = (types: readonly TypeScore[]) =>
    types.map((each) => ({ type: each.type, questions: each.questions, ...inReport(each) }));
  const typeBars = (types: readonly TypeScore[]) =>
    types
      .slice(0, plottedTypes)
      .map((each) => ({ ...each, label: `${each.type} (${each.questions})` }));
  return {
    finish: made.finish,
    report: {
      format: "blip2-edge/evaluation/v1",
      task: "vqa",
      model: made.model,
      settings: { ...made.settings, limit: settings.limit },
      data: {
        annotations: { file: annotations.name, sha256: annotations.sha256 },
        questions: { file: questions.name, sha256: questions.sha256 },
        ...made.data,
        pictures,
        asked: items.length,
        of_questions: all.length,
      },
      scores: {
        accuracy: inReport(scores.accuracy),
        accuracy_official: inReport(scores.accuracyOfficial),
        by_answer_type: byType(scores.byAnswerType),
        by_question_type: byType(scores.byQuestionType),
      },
      notes: [...notes, ...made.notes],
      items: items.map(({ id, file, question }, at) => ({
        question_id: id,
        file,
        question,
        answer: made.texts[at],
        accuracy: scores.each[at]?.accuracy,
        accuracy_official: scores.each[at]?.accuracyOfficial,
      })),
    },
    plot: {
      title,
      subtitle: about,
      groups: [
        { title: "VQA accuracy; line: standard error", bars: both },
        { title: "by type of answer", bars: typeBars(scores.byAnswerType) },
        { title: "by type of question", bars: typeBars(scores.byQuestionType) },
      ].map((group) => ({
        title: group.title,
        bars: group.bars.map(({ label, value, standardError }) => ({
          label,
          text: inWords({ value, standardError }),
          share: value,
          shareError: standardError,
        })),
      })),
    },
    lines: [
      `${title} (${about})`,
      ...[
        ...both,
        ...scores.byAnswerType.map((each) => ({ ...each, label: `· ${each.type}` })),
      ].map((each) => `${each.label.padEnd(18)} ${inWords(each)}`),
    ],
  };
}
