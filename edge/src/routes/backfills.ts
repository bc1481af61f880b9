// /v1/backfills: HTTP in, the rooms of connections, HTTP out.
import type { Backfill, BackfillList } from "@blip2-edge/shared/contracts/backfills";
import { invalidRequest, parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { routes } from "@blip2-edge/shared/routes";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { adapters } from "../webhooks/adapters.ts";
import {
  backfillOf,
  type BackfillRecord,
  type DeliveryCounts,
} from "../webhooks/backfill-record.ts";
import { optionsOf } from "../webhooks/connection-record.ts";
import { because } from "../webhooks/reasons.ts";
import { fieldsWithPath, queryOf } from "./keys.ts";
import { once } from "./once.ts";
import { readJson } from "./read-body.ts";
import { bodyLimits } from "./request.ts";

type BackfillRouteId =
  | "backfillCreate"
  | "backfillList"
  | "backfillRead"
  | "backfillPause"
  | "backfillResume"
  | "backfillCancel";

const unkept = { "cache-control": "no-store" } as const;

export function backfillRoutes({
  webhooks: rooms,
  remember,
  settings,
}: Pick<Isolate, "webhooks" | "remember" | "settings">): Record<BackfillRouteId, Handler<Env>> {
  const { book, backfills, queue } = rooms;
  const read = (c: Context<Env>) => readJson(c.req.raw, bodyLimits(settings), c.get("context"));
  const tenantOf = (c: Context<Env>): string => c.get("caller").tenant;

  async function told(record: BackfillRecord, counts: DeliveryCounts = {}): Promise<Backfill> {
    const connection = await book.find(record.connection_id);
    const { paused_until: until = 0, paused_reason: reason = null } = connection ?? {};
    return backfillOf(record, counts, { until, reason });
  }
  async function answer(c: Context<Env>, record: BackfillRecord, status: 200 | 201 = 200) {
    const { event } = c.get("context");
    event["connection_id"] = record.connection_id;
    event["backfill_id"] = record.id;
    const standing = await backfills.standing([record.id]);
    return c.json(await told(record, standing.get(record.id)), status, unkept);
  }
  const step = (c: Context<Env>, { id }: BackfillRecord): void =>
    c.get("context").later(queue.send({ kind: "backfill", backfill: id }));
  const refuseOver = ({ state, ended_at: endedAt }: BackfillRecord): void => {
    if (endedAt === null) return;
    throw new AppError("backfill_over", `The backfill is ${state}. Start another one.`);
  };

  return {
    async backfillCreate(c) {
      const json = await read(c);
      const request = parseOrRefuse(routes.backfillCreate.input.schema, json);
      const { kind, options } = await book.read(tenantOf(c), request.connection);
      if (request.pictures === "all" && adapters[kind].listAll === undefined) {
        const message = `cannot be all: ${kind} is asked for pictures without alt text only`;
        throw invalidRequest([{ field: "pictures", message }]);
      }
      if (request.dry_run !== true && optionsOf(kind, options).mode === "off") {
        const message = "names a connection that is switched off: give it a mode first";
        throw invalidRequest([{ field: "connection", message }]);
      }
      return once(c, remember, json, async (seed) => {
        const id = `bkf_${seed}`;
        const made = await backfills.create(id, tenantOf(c), c.get("caller").keyId, request);
        step(c, made);
        c.header("location", `/v1/backfills/${id}`);
        return answer(c, made, 201);
      });
    },
    async backfillList(c) {
      const { connection, cursor } = queryOf(c, routes.backfillList.input.schema);
      const { records, cursor: next } = await backfills.list(tenantOf(c), connection, cursor);
      const standing = await backfills.standing(records.map(({ id }) => id));
      const list: BackfillList = {
        backfills: await Promise.all(records.map((one) => told(one, standing.get(one.id)))),
        ...(next === undefined ? {} : { cursor: next }),
      };
      return c.json(list, 200, unkept);
    },
    async backfillRead(c) {
      const { id } = queryOf(c, routes.backfillRead.input.schema);
      return answer(c, await backfills.read(tenantOf(c), id));
    },
    async backfillPause(c) {
      const fields = fieldsWithPath(c, await read(c));
      const { id } = parseOrRefuse(routes.backfillPause.input.schema, fields);
      refuseOver(await backfills.read(tenantOf(c), id));
      const { keyId } = c.get("caller");
      const paused = await backfills.pause(id, keyId, because("paused_by_person"));
      refuseOver(paused);
      return answer(c, paused);
    },
    async backfillResume(c) {
      const fields = fieldsWithPath(c, await read(c));
      const { id, rate } = parseOrRefuse(routes.backfillResume.input.schema, fields);
      refuseOver(await backfills.read(tenantOf(c), id));
      const resumed = await backfills.resume(id, c.get("caller").keyId, rate);
      refuseOver(resumed);
      step(c, resumed);
      // What waited for it in the inbox, because all of the connection was held up, need not wait for the sweep.
      const { connection_id: connection } = resumed;
      c.get("context").later(queue.send({ kind: "connection", connection }));
      return answer(c, resumed);
    },
    async backfillCancel(c) {
      const fields = fieldsWithPath(c, await read(c));
      const { id } = parseOrRefuse(routes.backfillCancel.input.schema, fields);
      const found = await backfills.read(tenantOf(c), id);
      if (found.ended_at !== null) return answer(c, found);
      const { keyId } = c.get("caller");
      return answer(c, await backfills.end(id, "cancelled", keyId, because("cancelled_by_person")));
    },
  };
}
