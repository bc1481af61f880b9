// DELETE /v1/cache: HTTP in, a purge, HTTP out. An admin key forgets for its own tenant, an operator for any
// or all of them.
import type { Purge } from "@blip2-edge/shared/contracts/cache";
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { routes } from "@blip2-edge/shared/routes";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { tenantPartition } from "../partition.ts";
import { queryOf, withinOf } from "./keys.ts";

export function cachePurgeRoute(isolate: Pick<Isolate, "roomsFor" | "settings">): Handler<Env> {
  return async (c: Context<Env>): Promise<Response> => {
    const context = c.get("context");
    const asked = queryOf(c, routes.cachePurge.input.schema);
    const { image_id: imageId = "*", model_revision: modelRevision = "*" } = asked;
    if (imageId === "*" && modelRevision === "*" && asked.tenant === undefined) {
      const message = "or `model_revision` or `tenant` must say what is to be forgotten";
      throw invalidRequest([{ field: "image_id", message }]);
    }
    const within = withinOf(c.get("caller"), asked.tenant);
    const partition = within === "*" ? within : tenantPartition(within);
    const { held, purges } = isolate.roomsFor(context);
    const at = await purges.add({ partition, imageId, modelRevision });
    // What people could look at goes at once; of more than one picture, or of every tenant, it is believed no more.
    if (partition !== "*" && imageId !== "*" && modelRevision === "*") {
      await held.forgetFiles(partition, imageId);
    }
    context.event["purged"] = Object.keys(asked);
    const named = (value: string): string | null => (value === "*" ? null : value);
    const purge: Purge = {
      image_id: named(imageId),
      model_revision: named(modelRevision),
      tenant: named(within),
      purged_at: new Date(at).toISOString(),
      in_force_by: new Date(at + isolate.settings.PURGE_TTL_MS).toISOString(),
    };
    return c.json(purge, 200, { "cache-control": "no-store" });
  };
}
