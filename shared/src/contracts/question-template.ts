// How a question becomes the text that the model reads: `{}` stands for the question, exactly once.

export const isQuestionTemplate = (template: string): boolean => template.split("{}").length === 2;

/** No pattern is involved: `$&` in a question stays `$&`. */
export const applyTemplate = (template: string, question: string): string =>
  template.split("{}").join(question);

/** That of the published checkpoints. */
export const defaultQuestionTemplate = "Question: {} Answer:";
