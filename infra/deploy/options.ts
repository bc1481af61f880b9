// The command line of `npm run deploy`. Parsing only: it touches nothing.
import { parseArgs } from "node:util";
import { readAllowedOrigin } from "../../edge/src/nodes/announcers.ts";
import { DeployUsageError } from "./deploy-error.ts";
import { optionalBindings } from "./source-config.ts";

const commands = ["deploy", "status", "rollback"] as const;

export interface DeployOptions {
  readonly command: (typeof commands)[number];
  readonly environment: string;
  readonly domain: string | undefined;
  /** Where nodes may announce themselves from, by the id of their key. */
  readonly nodes: Readonly<Record<string, string>>;
  /** Variables of the Worker; an empty value takes one away. */
  readonly vars: Readonly<Record<string, string>>;
  readonly use: readonly string[];
  /** Name to register under workers.dev, for an account that has none. */
  readonly workersDev: string | undefined;
  readonly tenant: string;
  readonly adopt: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

export const usage = `Usage: npm run deploy -- [status | rollback] [options]

Brings the Worker into a Cloudflare account: checks the account, makes what is missing, migrates the database, deploys,
makes the first admin key, tries the result and says what comes next. Run again it changes nothing. What you say of an
environment is kept in edge/environments/NAME.json. CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID say whose account;
docs/deploy.md which permissions the token needs.

  status               what is there, and what a deployment would change; exit status 1 when it would
  rollback             back to the version before

  --env NAME           production (default), staging, or another; each has resources of its own
  --dry-run            show every step as for an empty account; no network, nothing written
  --yes                do not ask before changing something
  --node ID=ORIGIN     a node with a key in the settings, made here, that announces this origin (repeatable); nodes
                       that join need none
  --domain HOST        the Worker's own host name, in a zone of the account; default: workers.dev
  --workers-dev NAME   register this name under workers.dev, where the account has none
  --set NAME=VALUE     a variable of the Worker, see edge/src/config.ts (repeatable; NAME= takes it away)
  --use BINDING        one of ${optionalBindings.join(", ")} (repeatable)
  --tenant NAME        whose the first admin key is (default: main)
  --adopt              take over a Worker of that name which this command did not deploy
  --help               this text`;

function pair(flag: string, text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new DeployUsageError(`${flag} takes NAME=VALUE, not ${text}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function check(good: boolean, message: string): void {
  if (!good) throw new DeployUsageError(message);
}

/** Throws DeployUsageError. */
export function parseDeployOptions(args: readonly string[]): DeployOptions | "help" {
  const text = { type: "string" } as const;
  const list = { type: "string", multiple: true, default: [] as string[] } as const;
  const flag = { type: "boolean", default: false } as const;
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        env: { type: "string", default: "production" },
        domain: text,
        node: list,
        set: list,
        use: list,
        "workers-dev": text,
        tenant: { type: "string", default: "main" },
        adopt: flag,
        "dry-run": flag,
        yes: flag,
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    throw new DeployUsageError(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  if (values.help) return "help";
  const command = commands.find((known) => known === (positionals[0] ?? "deploy"));
  if (command === undefined || positionals.length > 1) {
    throw new DeployUsageError(`"${positionals.join(" ")}" is no command`);
  }
  check(
    /^[a-z][a-z0-9-]{0,19}$/.test(values.env),
    `--env takes up to 20 lower-case letters, digits and hyphens, not ${values.env}`,
  );
  check(
    values.domain === undefined || /^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(values.domain),
    `--domain takes a host name in lower case, not ${values.domain}`,
  );
  check(
    /^[a-z0-9][a-z0-9-]{0,62}$/.test(values.tenant),
    `--tenant takes lower-case letters, digits and hyphens, not ${values.tenant}`,
  );
  for (const node of values.node) {
    check(
      readAllowedOrigin(node) !== undefined,
      `--node takes ID=ORIGIN, such as gpu-1=https://gpu-1.example.com, not ${node}`,
    );
  }
  for (const use of values.use) {
    check(
      optionalBindings.some((known) => known === use),
      `--use takes one of ${optionalBindings.join(", ")}, not ${use}`,
    );
  }
  const vars = values.set.map((entry) => pair("--set", entry));
  for (const [name] of vars) {
    check(/^[A-Z][A-Z0-9_]*$/.test(name), `--set takes a variable in capitals, not ${name}`);
    check(name !== "ANNOUNCE_ORIGINS", "ANNOUNCE_ORIGINS is made of the --node entries");
  }
  return {
    command,
    environment: values.env,
    domain: values.domain,
    nodes: Object.fromEntries(values.node.map((entry) => pair("--node", entry))),
    vars: Object.fromEntries(vars),
    use: values.use,
    workersDev: values["workers-dev"],
    tenant: values.tenant,
    adopt: values.adopt,
    dryRun: values["dry-run"],
    yes: values.yes,
  };
}
