// GET /v1/models and GET /v1/models/{model}, in OpenAI's shape, and GET /healthz.
import type { Health, Model, ModelList } from "@blip2-edge/shared/contracts/models";
import { AppError } from "@blip2-edge/shared/problem";
import { routes } from "@blip2-edge/shared/routes";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { queryOf } from "./keys.ts";

const unkept = { "cache-control": "no-store" } as const;

export function modelRoutes(
  isolate: Pick<Isolate, "roomsFor">,
): Record<"models" | "modelRead", Handler<Env>> {
  const modelsOf = async (c: Context<Env>): Promise<Model[]> => {
    const context = c.get("context");
    const { models } = await isolate.roomsFor(context).models.all(context.signal);
    return models.map(modelOf);
  };
  return {
    async models(c) {
      const list: ModelList = { object: "list", data: await modelsOf(c) };
      return c.json(list, 200, unkept);
    },
    async modelRead(c) {
      const { model: name } = queryOf(c, routes.modelRead.input.schema);
      const model = (await modelsOf(c)).find(({ id }) => id === name);
      if (model !== undefined) return c.json(model, 200, unkept);
      throw new AppError(
        "model_not_found",
        `There is no model ${JSON.stringify(name)}. GET /v1/models lists those that there are.`,
      );
    },
  };
}

const modelOf = ({ model, model_revision, abilities }: CatalogModel): Model => ({
  id: model,
  object: "model",
  // Nodes do not tell when a model was made.
  created: 0,
  owned_by: "blip2-edge",
  model_revision,
  abilities,
});

/** The Worker itself; it says nothing about nodes. */
export function healthRoute(c: Context<Env>): Response {
  const health: Health = { status: "ok" };
  return c.json(health, 200, { "cache-control": "no-store" });
}
