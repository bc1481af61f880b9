// `blip2-edge grants list | revoke`: what clients may do at /mcp by OAuth, over the typed client.
import type { Grant } from "@blip2-edge/shared/contracts/grants";
import { eachId } from "./each-id.ts";
import { everyPage } from "./every-page.ts";
import { clientOf, commonHelp, parseFlags, runAction, usageError, type Command } from "./flags.ts";
import { plain } from "./plain.ts";

const usages = {
  list: "blip2-edge grants list [--tenant TENANT] [--of KEY-ID]",
  revoke: "blip2-edge grants revoke ID...",
};

const grantsUsage = "blip2-edge grants list | revoke";
export const grantsHelp = `${Object.values(usages).join("\n")}

Says which clients somebody has let use /mcp without a key, and ends that. An admin key sees the grants of its
tenant, any other those on its own account.

  --of KEY-ID  those on the account of one key
${commonHelp}`;

/** Exit status: 0 when all that was asked is done. Errors: AppError, for the entry to print. */
export const grants: Command = async (args, io) =>
  runAction("grants", actions, args, io, grantsUsage);

const actions: Readonly<Record<keyof typeof usages, Command>> = {
  async list(args, io) {
    const flags = { tenant: { type: "string" }, of: { type: "string" } } as const;
    const { values, positionals } = parseFlags(args, flags, usages.list);
    if (positionals.length > 0) throw usageError("It takes no arguments", usages.list);
    const client = clientOf(values, io, usages.list);
    const which = { tenant: values.tenant, key_id: values.of };
    const read = (cursor?: string) => client.grantList({ ...which, cursor }, { signal: io.signal });
    for await (const page of everyPage(read)) {
      for (const grant of page.grants) {
        io.stdout(values.json ? JSON.stringify(grant) : lineOf(grant, (io.now ?? Date.now)()));
      }
    }
    return 0;
  },

  async revoke(args, io) {
    const { values, positionals: ids } = parseFlags(args, {}, usages.revoke);
    if (ids.length === 0) throw usageError("Give the id of a grant", usages.revoke);
    const client = clientOf(values, io, usages.revoke);
    return eachId(ids, io, async (id) => {
      const grant = await client.grantRevoke({ id }, { signal: io.signal });
      io.stdout(
        values.json ? JSON.stringify(grant) : `${id} (${plain(grant.client_name)}) is revoked`,
      );
    });
  },
};

function lineOf(grant: Grant, now: number): string {
  const state =
    grant.revoked_at !== null ? "revoked" : Date.parse(grant.expires_at) <= now ? "over" : "live";
  return [
    ...[grant.id, state.padEnd(7), grant.tenant, grant.key_id, grant.scopes.join(",")],
    ...[plain(grant.client_name), grant.redirect_host, grant.person ?? "whoever held the key"],
    `last token ${grant.refreshed_at ?? "never"}`,
  ].join("  ");
}
