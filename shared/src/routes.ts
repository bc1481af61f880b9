// THE TABLE of the public API. The Worker's router, the client and whatever describes the API read it;
// nobody writes a path, a scope or a schema a second time. Its rows stand in routes/, by what they are about.
import type { z } from "zod";
import { adminRoutes } from "./routes/admin.ts";
import { backfillsRoutes } from "./routes/backfills.ts";
import { grantsRoutes } from "./routes/grants.ts";
import { connectionsRoutes } from "./routes/connections.ts";
import { fleetRoutes } from "./routes/fleet.ts";
import { imagesRoutes } from "./routes/images.ts";
import { inferRoutes } from "./routes/infer.ts";
import { jobsRoutes } from "./routes/jobs.ts";
import { openRoutes } from "./routes/open.ts";
import { openaiRoutes } from "./routes/openai.ts";
import { reviewRoutes } from "./routes/review.ts";
import type { Route } from "./routes/route.ts";
import { suggestionsRoutes } from "./routes/suggestions.ts";

export const routes = {
  ...inferRoutes,
  ...openaiRoutes,
  ...jobsRoutes,
  ...imagesRoutes,
  ...connectionsRoutes,
  ...backfillsRoutes,
  ...reviewRoutes,
  ...suggestionsRoutes,
  ...adminRoutes,
  ...grantsRoutes,
  ...fleetRoutes,
  ...openRoutes,
} as const satisfies Record<string, Route>;

export type RouteId = keyof typeof routes;
/** The rows that a program asks: all but pages and pictures. */
export type CallId = {
  [Id in RouteId]: (typeof routes)[Id] extends { readonly media: string } ? never : Id;
}[RouteId];
/** The rows that stream. */
export type StreamId = {
  [Id in RouteId]: (typeof routes)[Id] extends { readonly streams: "events" } ? Id : never;
}[RouteId];
export type RouteResponse<Id extends RouteId> = z.output<(typeof routes)[Id]["response"]>;

/** The table as a list, for readers that treat every route alike. */
export const routeList: readonly Route[] = Object.values(routes);

/**
 * Whether asking twice is no worse than asking once: a POST that infers makes nothing, and what makes a
 * thing once is told by its key that it was asked before.
 */
export const isRepeatable = ({ method, scope, makesOnce, idempotent }: Route): boolean =>
  method !== "POST" ||
  scope === "infer" ||
  scope === "search" ||
  makesOnce === true ||
  idempotent === true;

/** The fields that travel in a route's path. */
export const pathFields = (path: string): string[] =>
  Array.from(path.matchAll(/\{(\w+)\}/g), ([, name = ""]) => name);
