// The way to Shopify's GraphQL Admin API. It answers with status 200 what it refuses, and what it asks us to wait for by
// the cost of queries: here that becomes what it is.
import { z } from "zod";
import type { Cms } from "../adapter.ts";
import { CmsFault, unexpected } from "../cms-fault.ts";

const answerSchema = z.object({
  data: z.unknown().optional(),
  errors: z
    .array(z.object({ extensions: z.object({ code: z.string().nullish() }).nullish() }))
    .optional(),
  extensions: z
    .object({
      cost: z.object({
        requestedQueryCost: z.number(),
        throttleStatus: z.object({ currentlyAvailable: z.number(), restoreRate: z.number() }),
      }),
    })
    .optional()
    .catch(undefined),
});
type Answer = z.output<typeof answerSchema>;

/** What is asked for, once nothing was refused. Throws CmsFault. */
export async function ask<Schema extends z.ZodType>(
  cms: Cms,
  query: string,
  variables: Readonly<Record<string, unknown>>,
  schema: Schema,
): Promise<z.output<Schema>> {
  const told = await cms.ask({
    ...{ method: "POST", path: "/graphql.json", json: { query, variables } },
    headers: { "x-shopify-access-token": cms.token },
  });
  const answer = answerSchema.safeParse(told.body);
  if (told.status !== 200 || !answer.success) throw unexpected("graphql", told);
  refuseErrors(answer.data);
  const parsed = schema.safeParse(answer.data.data);
  if (!parsed.success) throw unexpected("graphql data", told);
  return parsed.data;
}

/** Throws CmsFault for what came with status 200 and is a refusal. */
function refuseErrors({ errors = [], extensions }: Answer): void {
  const [error] = errors;
  if (error === undefined) return;
  const code = error.extensions?.code ?? "no code";
  const internal = `graphql: ${code}`;
  switch (code) {
    case "THROTTLED": {
      const { requestedQueryCost: cost = 0, throttleStatus: now } = extensions?.cost ?? {};
      const lacking = now === undefined ? 1 : (cost - now.currentlyAvailable) / now.restoreRate;
      const retryAfterS = Number.isFinite(lacking)
        ? Math.min(60, Math.max(1, Math.ceil(lacking)))
        : 1;
      throw new CmsFault("cms_busy", { internal, retryAfterS });
    }
    case "ACCESS_DENIED":
      throw new CmsFault("token_refused", { internal });
    case "INTERNAL_SERVER_ERROR":
    case "TIMEOUT":
      throw new CmsFault("cms_error", { internal });
    default:
      throw new CmsFault("cms_unexpected", { internal });
  }
}
