// GET /v1/models, in OpenAI's shape, and GET /healthz.
import type { Health, ModelList } from "@blip2-edge/shared/contracts/models";
import type { Context } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";

export function modelsRoute(isolate: Isolate) {
  return async (c: Context<Env>): Promise<Response> => {
    const context = c.get("context");
    const { models } = await isolate.roomsFor(context).models.all(context.signal);
    const list: ModelList = {
      object: "list",
      data: models.map(({ model, model_revision, abilities }) => ({
        id: model,
        object: "model",
        // Nodes do not tell when a model was made.
        created: 0,
        owned_by: "blip2-edge",
        model_revision,
        abilities,
      })),
    };
    return c.json(list, 200, { "cache-control": "no-store" });
  };
}

/** The Worker itself; it says nothing about nodes. */
export function healthRoute(c: Context<Env>): Response {
  const health: Health = { status: "ok" };
  return c.json(health, 200, { "cache-control": "no-store" });
}
