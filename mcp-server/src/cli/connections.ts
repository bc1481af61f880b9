// `blip2-edge connections …`: the CMSs whose pictures a Worker describes, and what they delivered.
// Secrets come from the environment, where other users of the machine do not see them.
import {
  connectionKinds,
  createConnectionRequestSchema,
  updateConnectionRequestSchema,
  type Connection,
} from "@blip2-edge/shared/contracts/connections";
import {
  listDeliveriesQuerySchema,
  oneDeliverySchema,
  type Delivery,
} from "@blip2-edge/shared/contracts/deliveries";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { toHex } from "@blip2-edge/shared/hex";
import { everyPage } from "./every-page.ts";
import {
  clientOf,
  commonHelp,
  ids,
  orUsage,
  parseFlags,
  runAction,
  usageError,
  type Command,
} from "./flags.ts";
import { plain } from "./plain.ts";

const usages = {
  create:
    "CMS_TOKEN=TOKEN blip2-edge connections create --name NAME --kind KIND --base-url URL [options]",
  list: "blip2-edge connections list",
  update: "blip2-edge connections update ID [options]",
  delete: "blip2-edge connections delete ID",
  deliveries: "blip2-edge connections deliveries ID [--state STATE]",
  replay: "blip2-edge connections replay ID DELIVERY",
};

const connectionsUsage = `blip2-edge connections ${Object.keys(usages).join(" | ")}`;
export const connectionsHelp = `${Object.values(usages).join("\n")}

  --kind KIND          ${connectionKinds.join(", ")}
  --base-url URL       of the CMS's API
  --mode MODE          off, suggest (default) or apply
  --options JSON       everything else, e.g. '{"vocabulary":["cat","dog"],"max_length":100}'
  --allow-private      the CMS stands on a private network that the Worker's operator has named
  --state STATE        of the deliveries to list

CMS_TOKEN is the token with which the CMS lets us read and write, CMS_WEBHOOK_SECRET the secret with which it
proves its webhooks. Without the latter, create makes one and prints it, once and alone, on standard output.
${commonHelp}`;

/** Exit status: 0 when all that was asked is done. Errors: AppError, for the entry to print. */
export const connections: Command = async (args, io) =>
  runAction("connections", actions, args, io, connectionsUsage);

const text = { type: "string" } as const;
const settings = {
  ...{ name: text, mode: text, options: text },
  "allow-private": { type: "boolean" },
} as const;
const secretBytes = 32;

const actions: Readonly<Record<keyof typeof usages, Command>> = {
  async create(args, io) {
    const usage = usages.create;
    const { values, positionals } = parseFlags(
      args,
      { ...settings, kind: text, "base-url": text },
      usage,
    );
    if (positionals.length > 0) throw usageError(`"${positionals[0]}" belongs to no flag`, usage);
    const given = io.env["CMS_WEBHOOK_SECRET"];
    const secret = given ?? newSecret(values.kind);
    const request = orUsage(usage, () =>
      parseOrRefuse(createConnectionRequestSchema, {
        ...settingsOf(values, usage),
        kind: values.kind,
        base_url: values["base-url"],
        token: io.env["CMS_TOKEN"],
        webhook_secret: secret,
      }),
    );
    const made = await clientOf(values, io, usage).connectionCreate(request, { signal: io.signal });
    if (values.json) {
      io.stdout(JSON.stringify(given === undefined ? { ...made, webhook_secret: secret } : made));
      return 0;
    }
    if (given === undefined) io.stdout(secret);
    io.stderr(
      `Connection ${made.id} (${made.kind}, ${made.mode}). Webhooks go to ${made.webhook_path}.`,
    );
    if (given === undefined) io.stderr("This webhook secret is not shown again.");
    return 0;
  },

  async list(args, io) {
    const { values, positionals } = parseFlags(args, {}, usages.list);
    if (positionals.length > 0) throw usageError("It takes no arguments", usages.list);
    const client = clientOf(values, io, usages.list);
    const read = (cursor?: string) => client.connectionList({ cursor }, { signal: io.signal });
    for await (const page of everyPage(read)) {
      for (const connection of page.connections)
        io.stdout(values.json ? JSON.stringify(connection) : lineOf(connection));
    }
    return 0;
  },

  async update(args, io) {
    const usage = usages.update;
    const { values, positionals } = parseFlags(args, settings, usage);
    const [id] = ids(positionals, 1, usage);
    const request = orUsage(usage, () =>
      parseOrRefuse(updateConnectionRequestSchema, {
        ...settingsOf(values, usage),
        id,
        token: io.env["CMS_TOKEN"],
        webhook_secret: io.env["CMS_WEBHOOK_SECRET"],
      }),
    );
    const changed = await clientOf(values, io, usage).connectionUpdate(request, {
      signal: io.signal,
    });
    io.stdout(values.json ? JSON.stringify(changed) : lineOf(changed));
    return 0;
  },

  async delete(args, io) {
    const { values, positionals } = parseFlags(args, {}, usages.delete);
    const [id = ""] = ids(positionals, 1, usages.delete);
    const client = clientOf(values, io, usages.delete);
    const deleted = await client.connectionDelete({ id }, { signal: io.signal });
    io.stdout(values.json ? JSON.stringify(deleted) : `${id} is deleted`);
    return 0;
  },

  async deliveries(args, io) {
    const usage = usages.deliveries;
    const { values, positionals } = parseFlags(args, { state: text }, usage);
    const [connection] = ids(positionals, 1, usage);
    const asked = orUsage(usage, () =>
      parseOrRefuse(listDeliveriesQuerySchema, { connection, state: values.state }),
    );
    const client = clientOf(values, io, usage);
    const read = (cursor?: string) =>
      client.deliveryList({ ...asked, cursor }, { signal: io.signal });
    for await (const page of everyPage(read)) {
      for (const delivery of page.deliveries)
        io.stdout(values.json ? JSON.stringify(delivery) : deliveryLine(delivery));
    }
    return 0;
  },

  async replay(args, io) {
    const usage = usages.replay;
    const { values, positionals } = parseFlags(args, {}, usage);
    const [connection, id] = ids(positionals, 2, usage);
    const asked = orUsage(usage, () => parseOrRefuse(oneDeliverySchema, { connection, id }));
    const client = clientOf(values, io, usage);
    const delivery = await client.deliveryReplay(asked, { signal: io.signal });
    io.stdout(values.json ? JSON.stringify(delivery) : deliveryLine(delivery));
    return 0;
  },
};

interface SettingFlags {
  readonly name?: string | undefined;
  readonly mode?: string | undefined;
  readonly options?: string | undefined;
  readonly "allow-private"?: boolean | undefined;
}

function settingsOf(values: SettingFlags, usage: string): Record<string, unknown> {
  const { name, mode, options = "{}", "allow-private": allowPrivate } = values;
  let more: unknown;
  try {
    more = JSON.parse(options);
  } catch {
    more = undefined;
  }
  if (typeof more !== "object" || more === null || Array.isArray(more)) {
    throw usageError("--options must be a JSON object", usage);
  }
  return { ...more, name, mode, allow_private: allowPrivate };
}

/** In the form of Standard Webhooks, which most take; Contentful takes 64 characters and no other number. */
function newSecret(kind: string | undefined): string {
  const bytes = crypto.getRandomValues(new Uint8Array(secretBytes));
  return kind === "contentful" ? toHex(bytes) : `whsec_${btoa(String.fromCharCode(...bytes))}`;
}

const lineOf = ({ id, kind, mode, base_url, name, webhook_path }: Connection): string =>
  plain([id, kind, mode.padEnd(7), base_url, webhook_path, name].join("  "));

const deliveryLine = ({ id, state, asset_id, attempts, received_at, detail }: Delivery): string =>
  plain(
    [
      ...[id, state.padEnd(9), received_at, `asset ${asset_id ?? "-"}`],
      ...[`${attempts} attempts`, detail ?? ""],
    ].join("  "),
  );
