// GET /v1/usage: the ledgers of the keys that the caller may see, a page of keys at a time. They are read
// from the meters themselves, so what is told is what quotas count.
import { defaultUsageDays, maxUsageDays, type UsageList } from "@blip2-edge/shared/contracts/usage";
import type { Key } from "@blip2-edge/shared/contracts/keys";
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { routes } from "@blip2-edge/shared/routes";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { dayOf, daysBefore } from "../usage/calendar.ts";
import { queryOf, withinOf } from "./keys.ts";

/** Each is a call of a Durable Object. */
const keysPerPage = 50;

export function usageRoute(
  { keyBook, meter }: Pick<Isolate, "keyBook" | "meter">,
  now: () => number = Date.now,
): Handler<Env> {
  return async (c: Context<Env>): Promise<Response> => {
    const { signal } = c.get("context");
    const asked = queryOf(c, routes.usage.input.schema);
    const { from, to } = daysOf(asked, now());
    const { keys, cursor } = await keysOf(c, asked);
    const usage = await Promise.all(
      keys.map(async ({ id, name, tenant }) =>
        (await meter.days(id, from, to, signal)).map((day) => ({
          ...{ key_id: id, name, tenant },
          ...day,
        })),
      ),
    );
    const list: UsageList = {
      usage: usage.flat(),
      ...(cursor === undefined ? {} : { cursor }),
    };
    return c.json(list, 200, { "cache-control": "no-store" });
  };

  async function keysOf(
    c: Context<Env>,
    asked: {
      readonly key_id?: string | undefined;
      tenant?: string | undefined;
      cursor?: string | undefined;
    },
  ): Promise<{ readonly keys: readonly Key[]; readonly cursor?: string | undefined }> {
    const caller = c.get("caller");
    if (!caller.scopes.includes("admin")) {
      if (asked.tenant !== undefined || (asked.key_id ?? caller.keyId) !== caller.keyId) {
        throw new AppError(
          "forbidden",
          "Without the scope `admin` a key sees its own usage alone.",
        );
      }
      return { keys: [await keyBook.read(caller.tenant, caller.keyId)] };
    }
    const within = withinOf(caller, asked.tenant);
    if (asked.key_id === undefined) return keyBook.list(within, asked.cursor, keysPerPage);
    return { keys: [await keyBook.read(within, asked.key_id)] };
  }
}

function daysOf(
  asked: { readonly from?: string | undefined; readonly to?: string | undefined },
  now: number,
): { readonly from: string; readonly to: string } {
  const to = asked.to ?? dayOf(now);
  const from = asked.from ?? daysBefore(Date.parse(to), defaultUsageDays - 1);
  if (from > to) throw invalidRequest([{ field: "from", message: "is after `to`" }]);
  if (from < daysBefore(Date.parse(to), maxUsageDays)) {
    throw invalidRequest([
      { field: "from", message: `is more than ${maxUsageDays} days before \`to\`` },
    ]);
  }
  return { from, to };
}
