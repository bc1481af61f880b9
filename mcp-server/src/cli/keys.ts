// `blip2-edge keys create | list | rotate | revoke`: a Worker's API keys over the typed client.
import {
  createKeyRequestSchema,
  type Key,
  type KeyWithSecret,
} from "@blip2-edge/shared/contracts/keys";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { eachId } from "./each-id.ts";
import { everyPage } from "./every-page.ts";
import {
  clientOf,
  commonHelp,
  countOf,
  orUsage,
  parseFlags,
  runAction,
  usageError,
  type Command,
} from "./flags.ts";
import type { CliIo } from "./io.ts";

const usages = {
  create: "blip2-edge keys create --name NAME [--scope SCOPE]... [--tenant TENANT] [limits]",
  list: "blip2-edge keys list [--tenant TENANT]",
  rotate: "blip2-edge keys rotate ID [--overlap SECONDS]",
  revoke: "blip2-edge keys revoke ID...",
};

const keysUsage = "blip2-edge keys create | list | rotate | revoke";
export const keysHelp = `${Object.values(usages).join("\n")}

An admin key manages the keys of its own tenant; an operator key (OPERATOR_KEYS of the Worker) those of
every tenant, and names it with --tenant. A secret is printed once, alone on standard output.

  --scope SCOPE              infer (default), index, search, jobs, connections, review or
                             admin; repeatable
  --expires-in DAYS          default: never
  --requests-per-minute N    each default: no limit
  --inferences-per-day N     days and months are UTC
  --inferences-per-month N
  --concurrency N            calls of a node at a time
  --fetch-allow HOST[:PORT]  picture URLs may point nowhere else; *.HOST too; repeatable
  --no-store                 nothing of the key's requests is kept
  --overlap SECONDS          how long the old secret works on; default: a day
${commonHelp}`;

/** Exit status: 0 when all that was asked is done. Errors: AppError, for the entry to print. */
export const keys: Command = async (args, io) => runAction("keys", actions, args, io, keysUsage);

const actions: Readonly<Record<keyof typeof usages, Command>> = {
  async create(args, io) {
    const text = { type: "string" } as const;
    const usage = usages.create;
    const { values, positionals } = parseFlags(
      args,
      {
        name: text,
        tenant: text,
        scope: { type: "string", multiple: true },
        "expires-in": text,
        "requests-per-minute": text,
        "inferences-per-day": text,
        "inferences-per-month": text,
        concurrency: text,
        "fetch-allow": { type: "string", multiple: true },
        "no-store": { type: "boolean" },
      },
      usage,
    );
    if (values.name === undefined) throw usageError("Give the key a --name", usage);
    if (positionals.length > 0) throw usageError(`"${positionals[0]}" belongs to no flag`, usage);
    const count = (flag: CountFlag) => countOf(`--${flag}`, values[flag], usage);
    const days = count("expires-in");
    const asked = {
      name: values.name,
      tenant: values.tenant,
      scopes: values.scope,
      expires_at:
        days === undefined
          ? undefined
          : new Date((io.now ?? Date.now)() + days * 86_400_000).toISOString(),
      limits: {
        requests_per_minute: count("requests-per-minute"),
        inferences_per_day: count("inferences-per-day"),
        inferences_per_month: count("inferences-per-month"),
        concurrency: count("concurrency"),
      },
      fetch_allow: values["fetch-allow"],
      no_store: values["no-store"],
    };
    const request = orUsage(usage, () => parseOrRefuse(createKeyRequestSchema, asked));
    const client = clientOf(values, io, usage);
    const made = await client.keyCreate(request, { signal: io.signal });
    printSecret(made, values.json, io);
    return 0;
  },

  async list(args, io) {
    const { values, positionals } = parseFlags(args, { tenant: { type: "string" } }, usages.list);
    if (positionals.length > 0) throw usageError("It takes no arguments", usages.list);
    const client = clientOf(values, io, usages.list);
    const tenant = values.tenant;
    const read = (cursor?: string) => client.keyList({ tenant, cursor }, { signal: io.signal });
    for await (const page of everyPage(read)) {
      for (const key of page.keys) {
        io.stdout(values.json ? JSON.stringify(key) : lineOf(key, (io.now ?? Date.now)()));
      }
    }
    return 0;
  },

  async rotate(args, io) {
    const usage = usages.rotate;
    const { values, positionals } = parseFlags(args, { overlap: { type: "string" } }, usage);
    const [id, ...more] = positionals;
    if (id === undefined || more.length > 0) throw usageError("Give the id of one key", usage);
    const overlapS = countOf("--overlap", values.overlap, usage);
    const made = await clientOf(values, io, usage).keyRotate(
      { id, ...(overlapS === undefined ? {} : { overlap_s: overlapS }) },
      { signal: io.signal },
    );
    printSecret(made, values.json, io);
    return 0;
  },

  async revoke(args, io) {
    const { values, positionals: ids } = parseFlags(args, {}, usages.revoke);
    if (ids.length === 0) throw usageError("Give the id of a key", usages.revoke);
    const client = clientOf(values, io, usages.revoke);
    return eachId(ids, io, async (id) => {
      const key = await client.keyRevoke({ id }, { signal: io.signal });
      io.stdout(values.json ? JSON.stringify(key) : `${id} (${key.name}) is revoked`);
    });
  },
};

type CountFlag =
  | "expires-in"
  | "requests-per-minute"
  | "inferences-per-day"
  | "inferences-per-month"
  | "concurrency";

function printSecret({ key, ...about }: KeyWithSecret, json: boolean, io: CliIo): void {
  if (json) return io.stdout(JSON.stringify({ key, ...about }));
  io.stdout(key);
  const { id, name, tenant, previous_secret_until: until } = about;
  io.stderr(`Key ${id} (${name}) of tenant ${tenant}. This secret is not shown again.`);
  if (until !== null) io.stderr(`The secret of before works until ${until}.`);
}

function lineOf(key: Key, now: number): string {
  const state =
    key.revoked_at !== null
      ? "revoked"
      : key.expires_at !== null && Date.parse(key.expires_at) <= now
        ? "expired"
        : "valid";
  const { requests_per_minute: rate, concurrency } = key.limits;
  const { inferences_per_day: day, inferences_per_month: month } = key.limits;
  const limits = [
    rate === null ? [] : `${rate} requests/min`,
    day === null ? [] : `${day} inferences/day`,
    month === null ? [] : `${month} inferences/month`,
    concurrency === null ? [] : `${concurrency} at a time`,
  ].flat();
  return [
    ...[key.id, state.padEnd(7), key.tenant, key.scopes.join(",")],
    ...[limits.join(", ") || "no limits", `last used ${key.last_used_at ?? "never"}`, key.name],
  ].join("  ");
}
