// `blip2-edge usage`: what keys have spent, by key and day, as lines for people, CSV or JSON: every page of
// GET /v1/usage, each written as soon as it is there.
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import {
  usageQuerySchema,
  type UsageDay,
  type UsageQuery,
} from "@blip2-edge/shared/contracts/usage";
import { AppError } from "@blip2-edge/shared/problem";
import { everyPage } from "./every-page.ts";
import { clientOf, commonHelp, parseFlags, usageError } from "./flags.ts";
import type { CliIo } from "./io.ts";

const usageUsage =
  "blip2-edge usage [--from DAY] [--to DAY] [--key-id ID] [--tenant TENANT] [--csv | --json]";
export const usageHelp = `${usageUsage}

What keys have spent, by key and day (UTC), as their meters count it: what quotas count. An operator key sees
every tenant's, an admin key its tenant's, any other key its own.

  --from DAY       such as 2030-01-31; default: 30 days before the last
  --to DAY         the last day; default: today
  --key-id ID      one key
  --tenant TENANT  for operators
  --csv            with a head line, for spreadsheets and billing
${commonHelp}`;

const columns = [
  ...(["day", "tenant", "key_id", "name"] as const),
  ...(["inferences", "calls", "refunded_calls", "expired_calls"] as const),
] as const satisfies readonly (keyof UsageDay)[];

/** Exit status: 0 when everything was written. Errors: AppError, for the entry to print. */
export async function usage(args: readonly string[], io: CliIo): Promise<number> {
  const text = { type: "string" } as const;
  const flags = {
    from: text,
    to: text,
    "key-id": text,
    tenant: text,
    csv: { type: "boolean" },
  } as const;
  const { values, positionals } = parseFlags(args, flags, usageUsage);
  if (positionals.length > 0) throw usageError("It takes no arguments", usageUsage);
  if (values.csv === true && values.json) {
    throw usageError("--csv and --json are two forms; give one of them", usageUsage);
  }
  const { from, to, tenant } = values;
  const query = queryOf({ from, to, tenant, key_id: values["key-id"] });
  const client = clientOf(values, io, usageUsage);
  const write = values.json ? asJson : values.csv === true ? asCsv : asText;
  if (values.csv === true) io.stdout(columns.join(","));
  const read = (cursor?: string) => client.usage({ ...query, cursor }, { signal: io.signal });
  for await (const page of everyPage(read)) {
    for (const day of page.usage) io.stdout(write(day));
  }
  return 0;
}

function queryOf(asked: Readonly<Record<string, string | undefined>>): UsageQuery {
  try {
    return parseOrRefuse(usageQuerySchema, asked);
  } catch (error) {
    if (error instanceof AppError) throw usageError(error.detail, usageUsage);
    throw error;
  }
}

const asJson = (day: UsageDay): string =>
  JSON.stringify(Object.fromEntries(columns.map((name) => [name, day[name]])));
const asCsv = (day: UsageDay): string => columns.map((name) => cellOf(day[name])).join(",");
const asText = ({ day, tenant, key_id: id, name, inferences, calls }: UsageDay): string =>
  `${day}  ${tenant}  ${id}  ${inferences} inferences in ${calls} calls  ${name}`;

/** RFC 4180. A spreadsheet takes what begins like a formula for one, and the name of a key is anybody's text. */
function cellOf(value: string | number): string {
  if (typeof value === "number") return String(value);
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
