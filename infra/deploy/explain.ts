// What Cloudflare's API refuses, in words for the operator: which permission, which limit, which plan. The codes are those
// that the API and wrangler's sources give; docs/deploy.md lists them.
import { DeployError } from "./deploy-error.ts";

export interface ApiFault {
  readonly method: string;
  /** Below /accounts/ID, unless it begins with user/. */
  readonly path: string;
  readonly status: number;
  readonly errors: readonly { readonly code?: number | undefined; readonly message: string }[];
}

const tokens = "https://dash.cloudflare.com/profile/api-tokens";

/** The permission that a path wants, as the dashboard names it. */
export function permissionFor(path: string): string {
  if (path.includes("/d1/")) return "D1: Edit";
  if (path.includes("/storage/kv/")) return "Workers KV Storage: Edit";
  if (path.includes("/r2/")) return "Workers R2 Storage: Edit";
  if (path.includes("/queues")) return "Queues: Edit";
  if (path.includes("/vectorize/")) return "Vectorize: Edit";
  if (path.includes("/workers/domains")) return "Workers Routes: Edit (of the zone)";
  if (path.includes("/workers/")) return "Workers Scripts: Edit";
  return "Account Settings: Read";
}

const again = "then run the same command again: it goes on where it was.";

/** By the code of Cloudflare's error. */
const known: Readonly<Record<number, readonly [what: string, next: string]>> = {
  10042: [
    "R2 is not switched on in this account.",
    `Switch it on in the dashboard (Storage, R2; it asks for a way to pay), ${again}`,
  ],
  7406: [
    "The account has as many D1 databases as it may.",
    `Delete one (npx wrangler d1 list, npx wrangler d1 delete NAME) or raise the plan, ${again}`,
  ],
  100_328: [
    "The account is on the Workers Free plan, which has no CPU limits of its own; decoding a picture needs the Workers Paid plan.",
    `Change it in the dashboard (Workers, Plans), ${again}`,
  ],
  10_072: [
    "The account has as many cron triggers as it may (5 on the Workers Free plan).",
    `Take one from another Worker or raise the plan, ${again}`,
  ],
  10_031: [
    "That name under workers.dev belongs to somebody else.",
    "Choose another with --workers-dev NAME.",
  ],
  100_117: [
    "That host name has a DNS record of its own already.",
    `Delete the record in the dashboard if nothing needs it, or choose another --domain, ${again}`,
  ],
};

/** What wrangler printed, searched for what is known. */
export function explainOutput(text: string): DeployError | undefined {
  for (const [, code] of text.matchAll(/\[code: (\d+)\]/g)) {
    const row = known[Number(code)];
    if (row !== undefined) return new DeployError(...row);
  }
  return undefined;
}

/** Throws nothing; the error is for the caller to throw. */
export function explain({ method, path, status, errors }: ApiFault): DeployError {
  const said =
    errors
      .map(({ code, message }) => (code === undefined ? message : `${message} [code: ${code}]`))
      .join("; ") || "no reason was given";
  const at = `${method} ${path}: ${status}, ${said}`;
  for (const { code } of errors) {
    const row = code === undefined ? undefined : known[code];
    if (row !== undefined) return new DeployError(`${row[0]} (${at})`, row[1]);
  }
  if (path.endsWith("/tokens/verify")) {
    return new DeployError(
      `CLOUDFLARE_API_TOKEN is no token that Cloudflare knows. (${at})`,
      `Make one at ${tokens} with the permissions of docs/deploy.md.`,
    );
  }
  if (path === "" && status < 500 && status !== 429) {
    return new DeployError(
      `CLOUDFLARE_ACCOUNT_ID is no account that the token sees. (${at})`,
      `Take the id from the dashboard's address, and give the token the permission "${permissionFor(path)}" for that ` +
        `account at ${tokens}.`,
    );
  }
  if (status === 401 || status === 403) {
    return new DeployError(
      `The token may not do this, or not in this account. (${at})`,
      `Give it the permission "${permissionFor(path)}" for the account of CLOUDFLARE_ACCOUNT_ID at ${tokens}, ${again}`,
    );
  }
  if (errors.some(({ message }) => /limit|quota|maximum|too many|exceed/i.test(message))) {
    return new DeployError(
      `A limit of the account is reached. (${at})`,
      `Delete what is not needed, or raise the plan, ${again}`,
    );
  }
  if (status === 429 || status >= 500) {
    return new DeployError(
      `Cloudflare's API does not answer as it should. (${at})`,
      "Look at https://www.cloudflarestatus.com and run the same command again later: it goes on where it was.",
    );
  }
  return new DeployError(
    `Cloudflare's API refused. (${at})`,
    "Run the same command again once the reason is gone: it goes on where it was.",
  );
}
