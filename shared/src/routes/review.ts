// Rows of the table of the API (../routes.ts): what a person needs who reviews suggestions (see suggestions.ts). They
// stand before those, whose path takes any word for an id.
import { currentWordsSchema, reviewSummarySchema } from "../contracts/review.ts";
import { oneSuggestionSchema } from "../contracts/suggestions.ts";
import { distinct, keyProblems } from "./problems.ts";
import type { Route } from "./route.ts";

export const reviewRoutes = {
  reviewSummary: {
    id: "reviewSummary",
    method: "GET",
    path: "/v1/suggestions/summary",
    scope: "review",
    summary: "Counts what waits for review, by connection.",
    input: { kind: "none" },
    response: reviewSummarySchema,
    problems: keyProblems,
  },
  suggestionCurrent: {
    id: "suggestionCurrent",
    method: "GET",
    path: "/v1/suggestions/{id}/current",
    scope: "review",
    summary: "Asks the CMS what the fields of the picture hold now.",
    input: { kind: "query", schema: oneSuggestionSchema },
    response: currentWordsSchema,
    problems: distinct(keyProblems, [
      ...(["invalid_request", "not_found", "cms_failed", "canceled", "deadline_exceeded"] as const),
    ]),
  },
} as const satisfies Record<string, Route>;
