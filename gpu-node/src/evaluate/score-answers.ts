// VQA accuracy of a set of answers with its standard error, whole and by type of answer and question.
import { type Estimate, meanOf } from "./standard-error.ts";
import { vqaAccuracy } from "./vqa-accuracy.ts";

export interface AnswerToScore {
  readonly answer: string;
  /** What people answered, ten of them in VQA v2. */
  readonly people: readonly string[];
  readonly answerType: string;
  readonly questionType: string;
}

export interface TypeScore extends Estimate {
  readonly type: string;
  readonly questions: number;
}

export interface AnswerScores {
  /** By LAVIS's rules, with which the paper's figures were made. */
  readonly accuracy: Estimate;
  /** By the rules of VQA v2's own evaluation, which leave "two" and "2" apart where all people agree. */
  readonly accuracyOfficial: Estimate;
  /** LAVIS's rules; most frequent type first. */
  readonly byAnswerType: readonly TypeScore[];
  readonly byQuestionType: readonly TypeScore[];
  /** In the order of the answers. */
  readonly each: readonly { readonly accuracy: number; readonly accuracyOfficial: number }[];
}

export function scoreAnswers(answers: readonly AnswerToScore[]): AnswerScores {
  const each = answers.map(({ answer, people }) => ({
    accuracy: vqaAccuracy(answer, people, "lavis"),
    accuracyOfficial: vqaAccuracy(answer, people, "official"),
  }));
  const byType = (typeOf: (answer: AnswerToScore) => string): TypeScore[] => {
    const groups = Map.groupBy(answers.keys(), (at) => typeOf(answers[at]!));
    return [...groups]
      .map(([type, members]) => ({
        type,
        questions: members.length,
        ...meanOf(members.map((at) => each[at]!.accuracy)),
      }))
      .sort((a, b) => b.questions - a.questions);
  };
  return {
    accuracy: meanOf(each.map(({ accuracy }) => accuracy)),
    accuracyOfficial: meanOf(each.map(({ accuracyOfficial }) => accuracyOfficial)),
    byAnswerType: byType(({ answerType }) => answerType),
    byQuestionType: byType(({ questionType }) => questionType),
    each,
  };
}
