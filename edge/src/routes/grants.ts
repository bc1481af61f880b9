// /v1/grants: HTTP in, the book of grants, HTTP out. An admin key sees its tenant's grants, an operator every
// tenant's, any other key those that were given on its own account.
import { AppError } from "@blip2-edge/shared/problem";
import { routes } from "@blip2-edge/shared/routes";
import type { Context, Handler } from "hono";
import type { Caller } from "../auth/caller.ts";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { authorityOf } from "../middleware/authority.ts";
import type { GrantsOf } from "../oauth/grant-book.ts";
import { queryOf, withinOf } from "./keys.ts";

function grantsOf(caller: Caller, tenant?: string, keyId?: string): GrantsOf {
  if (caller.scopes.includes("admin")) return { tenant: withinOf(caller, tenant), keyId };
  if ((tenant ?? caller.tenant) !== caller.tenant || (keyId ?? caller.keyId) !== caller.keyId) {
    throw new AppError("forbidden", "Without the scope `admin` a key sees its own grants alone.");
  }
  return { tenant: caller.tenant, keyId: caller.keyId };
}

export function grantRoutes({
  grants,
  oauth,
}: Pick<Isolate, "grants" | "oauth">): Record<"grantList" | "grantRevoke", Handler<Env>> {
  return {
    async grantList(c: Context<Env>) {
      const { tenant, key_id: keyId, cursor } = queryOf(c, routes.grantList.input.schema);
      const list = await grants.list(grantsOf(c.get("caller"), tenant, keyId), cursor);
      return c.json(list, 200, { "cache-control": "no-store" });
    },
    async grantRevoke(c: Context<Env>) {
      const { id } = queryOf(c, routes.grantRevoke.input.schema);
      const grant = await grants.revoke(grantsOf(c.get("caller")), id);
      const context = c.get("context");
      context.event["grant_id"] = id;
      // Its row is what counts; what the library still keeps of it is good for nothing.
      const authority = authorityOf(oauth, c);
      if (authority !== undefined) context.later(authority.drop(id));
      return c.json(grant, 200, { "cache-control": "no-store" });
    },
  };
}
