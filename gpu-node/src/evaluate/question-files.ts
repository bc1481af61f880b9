// Questions with what people answered, from VQA v2's two files. Pictures are named by the questions file's own
// `images`, by a pattern, or as COCO names those of a subset.
import { z } from "zod";
import {
  type DataFile,
  type Id,
  idSchema,
  parseDataFile,
  refuse,
  refuseRepeats,
  refuseUnknown,
  listed,
} from "./data-file.ts";

export interface AnsweredQuestion {
  readonly id: Id;
  /** Below the folder of the pictures; null when nothing says. */
  readonly file: string | null;
  readonly question: string;
  /** At least one, ten in VQA v2. */
  readonly people: readonly string[];
  readonly answerType: string;
  readonly questionType: string;
}

const questionsSchema = z.object({
  data_subtype: z.string().optional(),
  images: z.array(z.object({ id: idSchema, file_name: z.string().min(1) })).optional(),
  questions: z.array(
    z.object({ question_id: idSchema, image_id: idSchema, question: z.string().min(1) }),
  ),
});
const annotationsSchema = z.object({
  annotations: z.array(
    z.object({
      question_id: idSchema,
      image_id: idSchema,
      question_type: z.string().default("all"),
      answer_type: z.string().default("all"),
      answers: z.array(z.object({ answer: z.string() })).min(1),
    }),
  ),
});

export interface QuestionFiles {
  readonly questions: DataFile;
  readonly annotations: DataFile;
  /** `{}` stands for the image id, `{12}` for the id with zeros to 12 digits. */
  readonly imageNames?: string;
}

/** Errors: `dataset_invalid`. */
export function readQuestionFiles(files: QuestionFiles): readonly AnsweredQuestion[] {
  const asked = parseDataFile(
    files.questions,
    questionsSchema,
    'VQA\'s {"questions":[{"question_id","image_id","question"}]}',
  );
  const { annotations } = parseDataFile(
    files.annotations,
    annotationsSchema,
    'VQA\'s {"annotations":[{"question_id","image_id","answers":[{"answer"}]}]}',
  );
  const ids = asked.questions.map(({ question_id }) => question_id);
  if (ids.length === 0) throw refuse(files.questions, "holds no question.");
  refuseRepeats(files.questions, "the question id", ids);
  refuseRepeats(
    files.annotations,
    "the question id",
    annotations.map(({ question_id }) => question_id),
  );
  const answered = new Map(annotations.map((each) => [String(each.question_id), each]));
  refuseUnknown(
    files.annotations,
    `answers questions that ${files.questions.name} does not ask`,
    annotations.map(({ question_id }) => question_id),
    new Set(ids.map(String)),
  );
  const bare = ids.filter((id) => !answered.has(String(id)));
  if (bare.length > 0) {
    throw refuse(files.annotations, `has no answers to the questions ${listed(bare)}.`);
  }
  const astray = asked.questions.filter(
    ({ question_id, image_id }) =>
      String(answered.get(String(question_id))?.image_id) !== String(image_id),
  );
  if (astray.length > 0) {
    throw refuse(
      files.annotations,
      `names other images than ${files.questions.name} for the questions ${listed(astray.map(({ question_id }) => question_id))}.`,
    );
  }

  const nameOf = pictureNames(files.questions, asked, files.imageNames);
  return asked.questions.map(({ question_id, image_id, question }) => {
    const {
      answers = [],
      answer_type = "all",
      question_type = "all",
    } = answered.get(String(question_id)) ?? {};
    return {
      id: question_id,
      file: nameOf(image_id),
      question,
      people: answers.map(({ answer }) => answer),
      answerType: answer_type,
      questionType: question_type,
    };
  });
}

function pictureNames(
  file: DataFile,
  { images, questions, data_subtype }: z.infer<typeof questionsSchema>,
  pattern: string | undefined,
): (id: Id) => string | null {
  if (pattern !== undefined) {
    return (id) =>
      pattern.replaceAll(/\{(\d*)\}/g, (_, width: string) =>
        String(id).padStart(Number(width), "0"),
      );
  }
  if (images !== undefined) {
    refuseRepeats(
      file,
      "the image id",
      images.map(({ id }) => id),
    );
    const names = new Map(images.map(({ id, file_name }) => [String(id), file_name]));
    refuseUnknown(
      file,
      "asks about images that it does not list",
      questions.map(({ image_id }) => image_id),
      names,
    );
    return (id) => names.get(String(id)) ?? null;
  }
  if (data_subtype === undefined) return () => null;
  return (id) => `COCO_${data_subtype}_${String(id).padStart(12, "0")}.jpg`;
}
