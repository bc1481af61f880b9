// What a person needs who reviews suggestions: HTTP in, the rooms of connections, HTTP out.
import { routes } from "@blip2-edge/shared/routes";
import type { Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { currentWords } from "../webhooks/current-words.ts";
import { reviewSummary } from "../webhooks/review-summary.ts";
import { queryOf } from "./keys.ts";

const unkept = { "cache-control": "no-store" } as const;

export function reviewRoutes({
  webhooks: rooms,
}: Pick<Isolate, "webhooks">): Record<"reviewSummary" | "suggestionCurrent", Handler<Env>> {
  const { book, suggestions, table } = rooms;
  return {
    async reviewSummary(c) {
      return c.json(await reviewSummary(table, c.get("caller").tenant), 200, unkept);
    },
    async suggestionCurrent(c) {
      const { id } = queryOf(c, routes.suggestionCurrent.input.schema);
      const { event, signal } = c.get("context");
      const caller = c.get("caller");
      const suggestion = await suggestions.read(caller.tenant, id);
      event["connection_id"] = suggestion.connection_id;
      const connection = await book.read(caller.tenant, suggestion.connection_id);
      const told = await currentWords(rooms, { connection, suggestion, caller, signal });
      return c.json(told, 200, unkept);
    },
  };
}
