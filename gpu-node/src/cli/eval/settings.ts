// The flags of `blip2 eval`, parsed once: which data, which settings, where the report goes.
import type { Generation } from "@blip2-edge/shared/contracts/generation";
import { isReproducible } from "@blip2-edge/shared/contracts/generation";
import { isQuestionTemplate } from "@blip2-edge/shared/contracts/question-template";
import {
  type Family,
  isPresetName,
  type Preset,
  type PresetName,
  presetNames,
  presets,
} from "../../evaluate/presets.ts";
import {
  generationFlags,
  generationUsage,
  parseGeneration,
  spellOutFlags,
} from "../generation-flags.ts";
import { parseFlags, usageError } from "../parse-flags.ts";
import type { ReportFiles } from "./report.ts";

export const tasks = ["captions", "vqa", "retrieval", "search", "labels"] as const;
export type Task = (typeof tasks)[number];

export const evalUsage = `blip2 eval ${tasks.join("|")} --annotations FILE [--questions FILE] (--model DIR --images DIR | --score FILE) [--preset ${presetNames.join("|")}] [--prompt TEXT] [--template "Question: {} Answer:"] [--image-names PATTERN] [--k-test N] [--unanswered FILE] [--calibrate] [--limit N] [--batch N] [--report FILE.json] [--plot FILE.svg] [--json] ${generationUsage}`;

const presetOf: Readonly<Record<Task, PresetName>> = {
  captions: "coco-captions",
  vqa: "vqa",
  retrieval: "retrieval",
  search: "plain",
  labels: "plain",
};

/** They compare pictures with texts, and write what their scores mean where --calibrate asks for it. */
const calibratedTasks: readonly Task[] = ["search", "labels"];
/** They need a model, since texts that were made elsewhere say nothing of its scores. */
const comparingTasks: readonly Task[] = ["retrieval", ...calibratedTasks];

/** Flags that only one task understands. */
const onlyFor = {
  prompt: "captions",
  template: "vqa",
  questions: "vqa",
  "image-names": "vqa",
  "k-test": "retrieval",
  unanswered: "search",
} as const satisfies Record<string, Task>;

export interface EvalSettings extends ReportFiles {
  readonly task: Task;
  readonly annotations: string;
  readonly questions: string | undefined;
  readonly imageNames: string | undefined;
  /** Either texts that are at hand, or a model and its pictures. */
  readonly source:
    | { readonly predictions: string }
    | { readonly model: string; readonly images: string };
  readonly presetName: PresetName;
  /** With what the flags set. */
  readonly preset: Omit<Preset, "generation">;
  readonly limit: number | null;
  /** Texts that no picture answers. */
  readonly unanswered: string | undefined;
  /** Whether what the scores mean is written beside the artifact. */
  readonly calibrate: boolean;
  /** Pictures whose texts are written together. */
  readonly batch: number;
  generationFor(family: Family): { readonly generation: Generation; readonly notes: string[] };
}

/** Errors: `usage`. */
export function parseEvalSettings(args: readonly string[]): EvalSettings {
  const { values, positionals } = parseFlags(
    spellOutFlags(args),
    {
      annotations: { type: "string" },
      questions: { type: "string" },
      "image-names": { type: "string" },
      model: { type: "string" },
      images: { type: "string" },
      score: { type: "string" },
      preset: { type: "string" },
      prompt: { type: "string" },
      template: { type: "string" },
      "k-test": { type: "string" },
      unanswered: { type: "string" },
      calibrate: { type: "boolean", default: false },
      limit: { type: "string" },
      batch: { type: "string" },
      report: { type: "string" },
      plot: { type: "string" },
      json: { type: "boolean", default: false },
      ...generationFlags,
    },
    evalUsage,
  );
  const refuse = (why: string): Error => usageError(why, evalUsage);
  const [given, ...more] = positionals;
  const task = tasks.find((name) => name === given);
  if (task === undefined || more.length > 0)
    throw refuse(`Say what to evaluate: ${tasks.join(", ")}`);
  for (const [flag, owner] of Object.entries(onlyFor)) {
    if (values[flag as keyof typeof onlyFor] !== undefined && owner !== task) {
      throw refuse(`--${flag} is for ${owner}, not for ${task}`);
    }
  }
  const { annotations, questions, score, model, images, template } = values;
  if (annotations === undefined) throw refuse("Give --annotations");
  if (task === "vqa" && questions === undefined) throw refuse("Give --questions too");
  if (score !== undefined && comparingTasks.includes(task)) {
    throw refuse(`--score is for captions and vqa; ${task} needs a model`);
  }
  if (values.calibrate && !calibratedTasks.includes(task)) {
    throw refuse(`--calibrate is for ${calibratedTasks.join(" and ")}, not for ${task}`);
  }
  if (score !== undefined && (model !== undefined || images !== undefined)) {
    throw refuse("Give either --score or --model and --images");
  }
  const source =
    score !== undefined
      ? { predictions: score }
      : model !== undefined && images !== undefined
        ? { model, images }
        : undefined;
  if (source === undefined) throw refuse("Give --model and --images, or --score");
  const presetName = values.preset ?? presetOf[task];
  if (!isPresetName(presetName)) {
    throw refuse(`--preset is one of ${presetNames.join(", ")}, not "${presetName}"`);
  }
  if (template !== undefined && !isQuestionTemplate(template)) {
    throw refuse("--template must contain {} exactly once, for the question");
  }
  const { generation: base, ...preset }: Preset = presets[presetName];
  // Wrong flags are found before anything is read.
  parseGeneration(values, evalUsage);
  const prompt = values.prompt ?? preset.prompt;

  return {
    task,
    annotations,
    questions,
    imageNames: values["image-names"],
    source,
    presetName,
    preset: {
      ...preset,
      prompt: prompt === "" ? null : prompt,
      template: template ?? preset.template,
      kTest: wholeNumber("k-test", values["k-test"], 0) ?? preset.kTest,
    },
    limit: wholeNumber("limit", values.limit, 1) ?? null,
    unanswered: values.unanswered,
    calibrate: values.calibrate,
    batch: wholeNumber("batch", values.batch, 1) ?? 8,
    report: values.report,
    plot: values.plot,
    json: values.json,
    generationFor(family) {
      const { generation, notes } = parseGeneration(values, evalUsage, base[family]);
      if (generation.num_return_sequences > 1) {
        throw refuse("--num-return-sequences is 1 in an evaluation");
      }
      if (!isReproducible(generation)) throw refuse("Give --seed with --do-sample");
      return { generation, notes: [...notes] };
    },
  };
}

function wholeNumber(flag: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text) || Number(text) < least) {
    throw usageError(`--${flag} is a whole number of at least ${least}, not "${text}"`, evalUsage);
  }
  return Number(text);
}
