// /v1/keys: HTTP in, the book of keys, HTTP out. An admin key sees its own tenant's keys and no other;
// an operator those of every tenant.
import { invalidRequest, parseOrRefuse, queryFields } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { routes } from "@blip2-edge/shared/routes";
import type { Context, Handler } from "hono";
import type { z } from "zod";
import type { Within } from "../auth/key-book.ts";
import type { Caller } from "../auth/caller.ts";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { once } from "./once.ts";
import { readJson } from "./read-body.ts";
import { bodyLimits } from "./request.ts";

/** The tenant that is asked about; an admin key may name none but its own. */
export function withinOf({ tenant, isOperator }: Caller, asked: string | undefined): Within {
  if (isOperator) return asked ?? "*";
  if (asked === undefined || asked === tenant) return tenant;
  throw new AppError("forbidden", "The key is for the keys of its own tenant.", {
    internal: `${tenant} asked for ${asked}`,
  });
}

type KeyRouteId = "keyCreate" | "keyList" | "keyRead" | "keyUpdate" | "keyRevoke" | "keyRotate";

export function keyRoutes({
  keyBook,
  remember,
  settings,
}: Pick<Isolate, "keyBook" | "remember" | "settings">): Record<KeyRouteId, Handler<Env>> {
  const read = (c: Context<Env>) => readJson(c.req.raw, bodyLimits(settings), c.get("context"));
  const answer = (c: Context<Env>, body: { readonly id?: string }, status: 200 | 201 = 200) => {
    if (body.id !== undefined) c.get("context").event["subject_key_id"] = body.id;
    return c.json(body, status, { "cache-control": "no-store" });
  };

  return {
    async keyCreate(c) {
      const json = await read(c);
      const { tenant, ...request } = parseOrRefuse(routes.keyCreate.input.schema, json);
      const within = withinOf(c.get("caller"), tenant);
      if (within === "*") {
        throw invalidRequest([{ field: "tenant", message: "is missing: whose key is it?" }]);
      }
      return once(c, remember, json, async () =>
        answer(c, await keyBook.create(request, within), 201),
      );
    },
    async keyList(c) {
      const { tenant, cursor } = queryOf(c, routes.keyList.input.schema);
      const list = await keyBook.list(withinOf(c.get("caller"), tenant), cursor);
      return c.json(list, 200, { "cache-control": "no-store" });
    },
    async keyRead(c) {
      const { id } = queryOf(c, routes.keyRead.input.schema);
      return answer(c, await keyBook.read(withinOf(c.get("caller"), undefined), id));
    },
    async keyUpdate(c) {
      const fields = fieldsWithPath(c, await read(c));
      const request = parseOrRefuse(routes.keyUpdate.input.schema, fields);
      return answer(c, await keyBook.update(withinOf(c.get("caller"), undefined), request));
    },
    async keyRevoke(c) {
      const { id } = queryOf(c, routes.keyRevoke.input.schema);
      return answer(c, await keyBook.revoke(withinOf(c.get("caller"), undefined), id));
    },
    async keyRotate(c) {
      const json = await read(c);
      const { id, overlap_s: overlapS } = parseOrRefuse(
        routes.keyRotate.input.schema,
        fieldsWithPath(c, json),
      );
      const within = withinOf(c.get("caller"), undefined);
      return once(c, remember, json, async () =>
        answer(c, await keyBook.rotate(within, id, overlapS)),
      );
    },
  };
}

/** What stands in the path is a field like any other, and not one that the rest may give too. */
export function fieldsWithPath(
  c: Context<Env>,
  fields: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const inPath: Readonly<Record<string, string>> = c.req.param();
  const twice = Object.keys(inPath).filter((name) => Object.hasOwn(fields, name));
  if (twice.length > 0) {
    throw invalidRequest(twice.map((field) => ({ field, message: "stands in the path already" })));
  }
  return { ...fields, ...inPath };
}

export const queryOf = <Schema extends z.ZodType>(
  c: Context<Env>,
  schema: Schema,
): z.output<Schema> =>
  parseOrRefuse(
    schema,
    fieldsWithPath(c, queryFields(new URL(c.req.raw.url).searchParams)),
    "The query",
  );
