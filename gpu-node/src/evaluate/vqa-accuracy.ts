// VQA accuracy of one answer: for each person leave that one out, and take min(agreeing others / 3, 1); the
// mean of these. Two rule sets are in use that differ in what is made comparable before.
import { tidyAnswer, withoutPunctuation, withPlainWords } from "./vqa-answer.ts";

/**
 * `official`: the evaluation that VQA v2 published; answers are made plain only where people disagree.
 * `lavis`: what the paper's figures were made with; the model's answer is always made plain, of people's
 * answers only the punctuation, where they disagree.
 */
export type VqaRules = "official" | "lavis";

export function vqaAccuracy(answer: string, people: readonly string[], rules: VqaRules): number {
  const plain = (text: string): string => withPlainWords(withoutPunctuation(text));
  const given = rules === "official" ? people.map(tidyAnswer) : people;
  const disagree = new Set(given).size > 1;
  const said = rules === "lavis" || disagree ? plain(tidyAnswer(answer)) : tidyAnswer(answer);
  const truths = disagree ? given.map(rules === "official" ? plain : withoutPunctuation) : given;
  const agreeing = truths.filter((truth) => truth === said).length;
  // Whoever is left out agreed or did not; everyone of a kind leaves the same number behind.
  const without = (left: number): number => Math.min(left / 3, 1);
  const others = truths.length - agreeing;
  return (agreeing * without(agreeing - 1) + others * without(agreeing)) / truths.length;
}
