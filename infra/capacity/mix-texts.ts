// The words of a mix's requests: the same from a client as in a simulation.
import type { RequestMix } from "./request-mix.ts";

const words = (kind: string, at: number): string => `${kind} ${at} of some words`;

export const mixTexts = {
  question: (at: number): string => words("question", at),
  labels: ({ texts_per_match: count }: RequestMix, at: number): string[] =>
    Array.from({ length: count }, (_, index) => words("label", at * count + index)),
  search: (at: number): string => words("search", at),
} as const;
