// /v1/suggestions: HTTP in, the rooms of connections, HTTP out.
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import type { Suggestion } from "@blip2-edge/shared/contracts/suggestions";
import { routes } from "@blip2-edge/shared/routes";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { thumbnailLink } from "../links/record-links.ts";
import {
  acceptSuggestion,
  editSuggestion,
  undoSuggestion,
  type Decision,
} from "../webhooks/decide-suggestion.ts";
import { suggestionOf, type SuggestionRecord } from "../webhooks/suggestion-store.ts";
import { fieldsWithPath, queryOf } from "./keys.ts";
import { readJson } from "./read-body.ts";
import { bodyLimits } from "./request.ts";

type SuggestionRouteId =
  | "suggestionList"
  | "suggestionRead"
  | "suggestionAccept"
  | "suggestionEdit"
  | "suggestionReject"
  | "suggestionUndo";

const unkept = { "cache-control": "no-store" } as const;

export function suggestionRoutes({
  webhooks: rooms,
  settings,
  pictureLinks: links,
}: Pick<Isolate, "webhooks" | "settings" | "pictureLinks">): Record<
  SuggestionRouteId,
  Handler<Env>
> {
  const { book, suggestions } = rooms;
  const fieldsOf = async (c: Context<Env>) =>
    fieldsWithPath(c, await readJson(c.req.raw, bodyLimits(settings), c.get("context")));
  const shown = async (c: Context<Env>, suggestion: Suggestion): Promise<Suggestion> => {
    const { origin } = c.get("context");
    if (origin === undefined) return suggestion;
    const of = { tenant: c.get("caller").tenant, imageId: suggestion.image_id };
    const url = await thumbnailLink({ links, ttlS: settings.LINK_TTL_S, origin }, of);
    return { ...suggestion, thumbnail_url: url };
  };
  const answer = async (c: Context<Env>, record: SuggestionRecord): Promise<Response> => {
    c.get("context").event["connection_id"] = record.connection_id;
    return c.json(await shown(c, suggestionOf(record)), 200, unkept);
  };
  async function decisionOn(c: Context<Env>, id: string): Promise<Decision> {
    const caller = c.get("caller");
    const suggestion = await suggestions.read(caller.tenant, id);
    const connection = await book.read(caller.tenant, suggestion.connection_id);
    return { connection, suggestion, caller, signal: c.get("context").signal };
  }

  return {
    async suggestionList(c) {
      const { cursor, limit, ...where } = queryOf(c, routes.suggestionList.input.schema);
      const list = await suggestions.list(c.get("caller").tenant, where, cursor, limit);
      const all = await Promise.all(list.suggestions.map((each) => shown(c, each)));
      return c.json({ ...list, suggestions: all }, 200, unkept);
    },
    async suggestionRead(c) {
      const { id } = queryOf(c, routes.suggestionRead.input.schema);
      return answer(c, await suggestions.read(c.get("caller").tenant, id));
    },
    async suggestionAccept(c) {
      const { id, ...given } = parseOrRefuse(
        routes.suggestionAccept.input.schema,
        await fieldsOf(c),
      );
      return answer(c, await acceptSuggestion(rooms, await decisionOn(c, id), given));
    },
    async suggestionEdit(c) {
      const { id, ...given } = parseOrRefuse(routes.suggestionEdit.input.schema, await fieldsOf(c));
      return answer(c, await editSuggestion(rooms, await decisionOn(c, id), given));
    },
    async suggestionReject(c) {
      const { id } = parseOrRefuse(routes.suggestionReject.input.schema, await fieldsOf(c));
      const { suggestion, caller } = await decisionOn(c, id);
      // What is rejected twice is rejected; what was written is undone instead.
      if (suggestion.state !== "open") return answer(c, suggestion);
      return answer(c, await suggestions.decide(suggestion, "rejected", caller.keyId));
    },
    async suggestionUndo(c) {
      const { id } = parseOrRefuse(routes.suggestionUndo.input.schema, await fieldsOf(c));
      return answer(c, await undoSuggestion(rooms, await decisionOn(c, id)));
    },
  };
}
