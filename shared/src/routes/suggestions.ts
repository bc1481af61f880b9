// Rows of the table of the API (../routes.ts): words that are suggested to a CMS, and what a person decides.
import {
  acceptSuggestionSchema,
  editSuggestionSchema,
  listSuggestionsQuerySchema,
  oneSuggestionSchema,
  suggestionListSchema,
  suggestionSchema,
} from "../contracts/suggestions.ts";
import { keyProblems, bodyProblems, distinct } from "./problems.ts";
import type { Route } from "./route.ts";

const decisionProblems = distinct(keyProblems, bodyProblems, [
  "not_found",
  "suggestion_closed",
  "words_changed",
  "cms_failed",
  "canceled",
  "deadline_exceeded",
]);

export const suggestionsRoutes = {
  suggestionList: {
    id: "suggestionList",
    method: "GET",
    path: "/v1/suggestions",
    scope: "review",
    summary: "Lists words for pictures of a CMS: those that wait for review, and the others.",
    input: { kind: "query", schema: listSuggestionsQuerySchema },
    response: suggestionListSchema,
    problems: distinct(keyProblems, ["invalid_request"]),
  },
  suggestionRead: {
    id: "suggestionRead",
    method: "GET",
    path: "/v1/suggestions/{id}",
    scope: "review",
    summary: "Gives one suggestion: what was there, our words, the scores, what became of it.",
    input: { kind: "query", schema: oneSuggestionSchema },
    response: suggestionSchema,
    problems: distinct(keyProblems, ["invalid_request", "not_found"]),
  },
  suggestionAccept: {
    id: "suggestionAccept",
    method: "POST",
    path: "/v1/suggestions/{id}/accept",
    scope: "review",
    summary: "Writes a suggestion into the CMS, as it is or with other words.",
    input: { kind: "json", schema: acceptSuggestionSchema },
    response: suggestionSchema,
    problems: decisionProblems,
  },
  suggestionEdit: {
    id: "suggestionEdit",
    method: "POST",
    path: "/v1/suggestions/{id}/edit",
    scope: "review",
    summary: "Puts a person's words in the place of ours; nothing is written until it is accepted.",
    input: { kind: "json", schema: editSuggestionSchema },
    response: suggestionSchema,
    problems: distinct(keyProblems, bodyProblems, ["not_found", "suggestion_closed", "canceled"]),
  },
  suggestionReject: {
    id: "suggestionReject",
    method: "POST",
    path: "/v1/suggestions/{id}/reject",
    scope: "review",
    summary: "Puts a suggestion away; nothing is written.",
    input: { kind: "json", schema: oneSuggestionSchema },
    response: suggestionSchema,
    problems: distinct(keyProblems, bodyProblems, ["not_found", "canceled"]),
  },
  suggestionUndo: {
    id: "suggestionUndo",
    method: "POST",
    path: "/v1/suggestions/{id}/undo",
    scope: "review",
    summary: "Gives a picture back the words that it had before, where ours still stand.",
    input: { kind: "json", schema: oneSuggestionSchema },
    response: suggestionSchema,
    problems: decisionProblems,
  },
} as const satisfies Record<string, Route>;
