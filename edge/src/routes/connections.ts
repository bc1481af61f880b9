// /v1/connections: HTTP in, the rooms of connections, HTTP out. Every key of a tenant that may manage connections
// sees all of the tenant's.
import type { ConnectionDeleted } from "@blip2-edge/shared/contracts/connections";
import { invalidRequest, parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { routes } from "@blip2-edge/shared/routes";
import type { Context, Handler } from "hono";
import type { Caller } from "../auth/caller.ts";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { refusePlace, type CmsPlace } from "../webhooks/cms-fetch.ts";
import { connectionOf } from "../webhooks/connection-record.ts";
import { deliveryOf } from "../webhooks/delivery-record.ts";
import { trailOf } from "../webhooks/trail.ts";
import { fieldsWithPath, queryOf } from "./keys.ts";
import { once } from "./once.ts";
import { readJson } from "./read-body.ts";
import { bodyLimits } from "./request.ts";

type ConnectionRouteId =
  | "connectionCreate"
  | "connectionList"
  | "connectionRead"
  | "connectionUpdate"
  | "connectionDelete"
  | "connectionEvents"
  | "deliveryList"
  | "deliveryReplay";

const unkept = { "cache-control": "no-store" } as const;

export function connectionRoutes({
  webhooks: rooms,
  remember,
  settings,
}: Pick<Isolate, "webhooks" | "remember" | "settings">): Record<ConnectionRouteId, Handler<Env>> {
  const { book, deliveries, table, queue, callerOfKey, ways } = rooms;
  const read = (c: Context<Env>) => readJson(c.req.raw, bodyLimits(settings), c.get("context"));
  const tenantOf = (c: Context<Env>): string => c.get("caller").tenant;
  const noted = (c: Context<Env>, id: string): string => {
    c.get("context").event["connection_id"] = id;
    return id;
  };

  /** The key whose quotas the work counts to: one of the tenant that may work for connections. */
  async function workerKey(caller: Caller, asked: string | undefined): Promise<Caller> {
    const key = asked === undefined ? caller : await callerOfKey(asked);
    if (key?.tenant !== caller.tenant || !key.scopes.includes("connections")) {
      const message = "names no valid key of this tenant with the scope `connections`";
      throw invalidRequest([{ field: "key_id", message }]);
    }
    if (key.noStore) {
      throw new AppError(
        "forbidden",
        "Nothing of this key's requests is kept, and what is suggested to a CMS must be. Use a key that may keep.",
      );
    }
    return key;
  }
  const refuse = (place: CmsPlace, { fetchAllow }: Caller): void =>
    refusePlace(ways, place, fetchAllow);

  return {
    async connectionCreate(c) {
      const json = await read(c);
      const request = parseOrRefuse(routes.connectionCreate.input.schema, json);
      const key = await workerKey(c.get("caller"), request.key_id);
      const { base_url, allow_private = false } = request;
      refuse({ base_url, allow_private }, key);
      return once(c, remember, json, async (seed) => {
        const id = noted(c, `con_${seed}`);
        const made = await book.create(id, tenantOf(c), key.keyId, request);
        c.header("location", `/v1/connections/${id}`);
        return c.json(made, 201, unkept);
      });
    },
    async connectionList(c) {
      const { cursor } = queryOf(c, routes.connectionList.input.schema);
      return c.json(await book.list(tenantOf(c), cursor), 200, unkept);
    },
    async connectionRead(c) {
      const { id } = queryOf(c, routes.connectionRead.input.schema);
      return c.json(connectionOf(await book.read(tenantOf(c), noted(c, id))), 200, unkept);
    },
    async connectionUpdate(c) {
      const fields = fieldsWithPath(c, await read(c));
      const request = parseOrRefuse(routes.connectionUpdate.input.schema, fields);
      const before = await book.read(tenantOf(c), noted(c, request.id));
      const caller = c.get("caller");
      if (request.key_id !== undefined || request.allow_private !== undefined) {
        const key = await workerKey(caller, request.key_id ?? before.key_id);
        refuse({ ...before, allow_private: request.allow_private ?? before.allow_private }, key);
      }
      const changed = await book.update(tenantOf(c), request);
      if (request.token !== undefined) await deliveries.revive(request.id, "token_refused");
      // What waited for the change need not wait for the sweep.
      c.get("context").later(queue.send({ kind: "connection", connection: request.id }));
      return c.json(changed, 200, unkept);
    },
    async connectionDelete(c) {
      const { id } = queryOf(c, routes.connectionDelete.input.schema);
      await book.remove(tenantOf(c), noted(c, id));
      const deleted: ConnectionDeleted = { id, deleted: true };
      return c.json(deleted, 200, unkept);
    },
    async connectionEvents(c) {
      const asked = queryOf(c, routes.connectionEvents.input.schema);
      const { id } = await book.read(tenantOf(c), noted(c, asked.connection));
      return c.json(await trailOf(table, id, asked.asset_id, asked.cursor), 200, unkept);
    },
    async deliveryList(c) {
      const asked = queryOf(c, routes.deliveryList.input.schema);
      const { connection, state, asset_id: assetId, cursor } = asked;
      const { id } = await book.read(tenantOf(c), noted(c, connection));
      return c.json(await deliveries.list(id, { state, assetId }, cursor), 200, unkept);
    },
    async deliveryReplay(c) {
      const fields = fieldsWithPath(c, await read(c));
      const asked = parseOrRefuse(routes.deliveryReplay.input.schema, fields);
      const { id: connection } = await book.read(tenantOf(c), noted(c, asked.connection));
      const { keyId } = c.get("caller");
      const replayed = await deliveries.replay(connection, asked.id, keyId);
      if (replayed.due_at !== null) {
        c.get("context").later(queue.send({ kind: "connection", connection }));
      }
      return c.json(deliveryOf(replayed), 200, unkept);
    },
  };
}
