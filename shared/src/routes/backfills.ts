// Rows of the table of the API (../routes.ts): libraries of CMSs that are gone through.
import {
  backfillListSchema,
  backfillSchema,
  createBackfillRequestSchema,
  listBackfillsQuerySchema,
  oneBackfillSchema,
  resumeBackfillSchema,
} from "../contracts/backfills.ts";
import { bodyProblems, distinct, keyProblems, onceProblems } from "./problems.ts";
import type { Route } from "./route.ts";

const stepProblems = distinct(keyProblems, bodyProblems, [
  "not_found",
  "backfill_over",
  "canceled",
]);

export const backfillsRoutes = {
  backfillCreate: {
    id: "backfillCreate",
    method: "POST",
    path: "/v1/backfills",
    scope: "connections",
    summary: "Goes through the library of a connection's CMS, at a rate.",
    input: { kind: "json", schema: createBackfillRequestSchema },
    response: backfillSchema,
    status: 201,
    makesOnce: true,
    problems: distinct(keyProblems, bodyProblems, onceProblems, [
      "not_found",
      "backfill_open",
      "canceled",
    ]),
  },
  backfillList: {
    id: "backfillList",
    method: "GET",
    path: "/v1/backfills",
    scope: "connections",
    summary: "Lists the tenant's backfills, the newest first.",
    input: { kind: "query", schema: listBackfillsQuerySchema },
    response: backfillListSchema,
    problems: distinct(keyProblems, ["invalid_request"]),
  },
  backfillRead: {
    id: "backfillRead",
    method: "GET",
    path: "/v1/backfills/{id}",
    scope: "connections",
    summary: "Says how far a backfill is.",
    input: { kind: "query", schema: oneBackfillSchema },
    response: backfillSchema,
    problems: distinct(keyProblems, ["invalid_request", "not_found"]),
  },
  backfillPause: {
    id: "backfillPause",
    method: "POST",
    path: "/v1/backfills/{id}/pause",
    scope: "connections",
    summary: "Halts a backfill; pictures that are worked on are finished.",
    input: { kind: "json", schema: oneBackfillSchema },
    response: backfillSchema,
    idempotent: true,
    problems: stepProblems,
  },
  backfillResume: {
    id: "backfillResume",
    method: "POST",
    path: "/v1/backfills/{id}/resume",
    scope: "connections",
    summary: "Lets a backfill go on where it was, at another rate if one is given.",
    input: { kind: "json", schema: resumeBackfillSchema },
    response: backfillSchema,
    idempotent: true,
    problems: stepProblems,
  },
  backfillCancel: {
    id: "backfillCancel",
    method: "POST",
    path: "/v1/backfills/{id}/cancel",
    scope: "connections",
    summary: "Ends a backfill; what is done stays.",
    input: { kind: "json", schema: oneBackfillSchema },
    response: backfillSchema,
    idempotent: true,
    problems: distinct(keyProblems, bodyProblems, ["not_found", "canceled"]),
  },
} as const satisfies Record<string, Route>;
